"""Speaker: plays the chunks of replies in its own thread."""

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Self

import numpy as np

from jarvis_ear import config
from jarvis_ear.audio.resample import Resampler
from jarvis_ear.audio.wav import decode_wav
from jarvis_ear.delivery.playback import Playback, Unheard
from jarvis_ear.devices.decoder import Decoder, SoundReader, UnplayableError
from jarvis_ear.devices.far_end import OnFar
from jarvis_ear.devices.output import NONE, Output, ReplyFiles, make_output
from jarvis_ear.devices.player import TICK_S, Player
from jarvis_ear.devices.playlist import Chunk, EndOfReply, Playlist
from jarvis_ear.devices.sound_files import MAX_SECONDS
from jarvis_ear.devices.volume import Volume
from jarvis_ear.errors import SpeakerLost
from jarvis_ear.journal.sound import SPEAKER_LOST
from jarvis_ear.mute import OWNER
from jarvis_ear.process import NamedThread

IDLE_S: Final = 5.0
"""Seconds between two looks for a missing loudspeaker while nothing is played."""

CLOSE_S: Final = 2.0
"""The thread checks every 20 ms; if it takes longer to end, it hangs in a driver."""

MAX_CHUNK_S: Final = 180.0
"""The backend's largest message holds two minutes at 16 kHz."""

PIECE_S: Final = 0.05
"""Seconds of sound that are decoded at once: the first sample does not wait for the last."""

QUIETLY: Final = "wake-word-quietly"
"""Value of ``speaker.barge_in`` with which a reply is ducked instead of paused."""

_NOTHING: Final = np.empty(0, np.int16)

_LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Decoding:
    """A chunk that is being decoded."""

    index: int
    sound: SoundReader


@dataclass(slots=True)
class _Reply:
    """The reply that is being played; replies do not overlap."""

    turn_id: str = ""
    has_started: bool = False
    is_over: bool = False
    """Whether it was played to its end: what follows is late."""
    is_lost: bool = False
    """Whether the speaker was lost during it: the rest is dropped."""
    has_warned: bool = False
    """Whether a chunk that cannot be played was logged: one warning is enough."""
    is_audible: bool = False
    left_out: int = 0
    """Chunks that are not played."""
    reason: Unheard = Unheard.NOTHING
    """Why the first of them was not."""

    def leave_out(self, reason: Unheard, chunks: int = 1) -> None:
        """Count chunks that are not played; the first reason is kept."""
        if chunks:
            self.left_out += chunks
            self.reason = self.reason or reason

    def playback(self) -> Playback:
        """Return what was heard of it so far."""
        return Playback(self.is_audible, self.left_out, self.reason)


class Speaker:
    """Plays replies. ``start`` and ``close`` by its owner; other public methods by any thread.

    The callbacks run in the thread "speaker" and get the turn id: ``on_started`` with the first
    sound of a reply, ``on_ended`` when the last sound of a finished reply was played. A reply of
    which nothing could be played ends without a start. ``on_ended`` is not called for a stopped
    reply (it may be if the reply ends during ``stop``). ``on_heard`` reports the playback of a
    reply: just before its end, and before its start if that is silent. ``on_far`` gets every piece
    of sound that the output takes, for an echo canceller; see ``OnFar``.
    """

    def __init__(
        self,
        options: config.SpeakerOptions,
        *,
        on_started: Callable[[str], None],
        on_ended: Callable[[str], None],
        on_heard: Callable[[str, Playback], None] = lambda _turn_id, _playback: None,
        on_far: OnFar | None = None,
        volume: Volume | None = None,
        sounds: Mapping[str, bytes] | None = None,
        output: Output | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._on_started = on_started
        self._on_ended = on_ended
        self._on_heard = on_heard
        self._playlist = Playlist()
        self._was_full = False
        self._options = options
        self._player = Player(output or make_output(options), on_far=on_far, monotonic=monotonic)
        self._files = _files(options)
        self._decoder = Decoder()
        self._is_expected = False  # whether a reply is expected, which the thread does not know yet
        self._sounds = sounds or {}
        self._chime = b""  # a sound that the thread does not know yet
        self._volume = volume or Volume(options.volume)
        self._is_ducked = False
        self._quiet_id = ""  # of the reply that is ducked instead of paused
        self._reply = _Reply()
        self._sound: _Decoding | None = None  # the chunk being played
        self._resampler: Resampler | None = None  # with the last milliseconds of what it got
        self._end: EndOfReply | None = None  # taken while the last sound is played
        self._thread = NamedThread(target=self._run, name="speaker", daemon=True)
        self.skipped = 0
        """Chunks in a format that cannot be played."""

    @property
    def problem(self) -> str:
        """Known reason why replies are not heard; empty if none."""
        return self._player.problem

    @property
    def condition(self) -> str:
        """State of the loudspeaker, in words."""
        return "none is configured" if self._options.device == NONE else self.problem or "fine"

    @property
    def volume(self) -> int:
        """Volume of replies in per cent."""
        return self._volume.percent

    def set_volume(self, percent: int, by: str = OWNER) -> bool:
        """Play at another volume, 0 to 100 %, from now on; return whether a restart knows it.

        At 0 a reply is silent and counts as played. See ``gain_of`` for what a per cent is.
        """
        self._volume.set(percent, by)
        self._playlist.wake()
        return self._volume.stored

    def counters(self) -> Mapping[str, int]:
        """Return the numbers of chunks left out, by reason, and of underruns. Any thread."""
        files = self._files
        return {
            "reply_pieces_refused": self._playlist.refused,
            "reply_pieces_skipped": self.skipped,
            "reply_pieces_unsaved": 0 if files is None else files.failures,
            "speaker_underruns": self._player.underruns,
        }

    def use_sounds(self, sounds: Mapping[str, bytes]) -> None:
        """Use other sounds, see ``sound_files.load_sounds``. Never blocks."""
        self._sounds = sounds

    def chime(self, name: str) -> None:
        """Play a short sound now, also over a reply, unless the owner silenced it. Never blocks.

        A sound that has not begun yet is replaced.
        """
        sound = self._sounds.get(name)
        if sound is not None and self._options.device != NONE:
            self._chime = sound
            self._playlist.wake()

    def change(self, options: config.SpeakerOptions) -> None:
        """Use other options from the next reply on. Never blocks."""
        before, self._options = self._options, options
        self._volume.change(options.volume)
        self._files = _files(options)
        if options.device != before.device:
            self._player.use(make_output(options))

    def start(self) -> None:
        """Start the thread, which looks up the loudspeaker and opens it for each reply."""
        self._thread.start()

    def prepare(self) -> None:
        """Open the loudspeaker, because a reply is expected soon. Never blocks."""
        self._is_expected = True
        self._playlist.wake()

    def play(self, turn_id: str, index: int, content_type: str, audio: bytes) -> None:
        """Queue ``audio`` for playback. Never blocks or fails."""
        has_room = self._playlist.add(Chunk(turn_id, index, content_type, audio))
        if not has_room and not self._was_full:
            _LOGGER.warning("reply is longer than the speaker's queue: chunks are left out")
        self._was_full = not has_room

    def finish(self, turn_id: str) -> None:
        """Mark the reply as complete: no chunk will follow. Never blocks."""
        self._playlist.end(turn_id)

    def pause(self, turn_id: str) -> None:
        """Stop playing this reply within 100 ms, and keep the rest of it. Never blocks.

        Its chunks queue, and those of later replies behind them, until ``resume`` or ``stop``. With
        ``barge_in = "wake-word-quietly"``, the reply continues, ducked.
        """
        if self._options.barge_in == QUIETLY:
            self._quiet_id = turn_id
            self._playlist.wake()
        else:
            self._playlist.pause(turn_id)

    def resume(self, turn_id: str) -> None:
        """Go on with a paused reply, from a little before the cut: see ``Track``. Never blocks."""
        self._quiet_id = ""
        self._playlist.resume(turn_id)

    def duck(self, on: bool) -> None:
        """Lower what is played by 12 dB within 100 ms, or return within 0.3 s. Never blocks."""
        self._is_ducked = on
        self._playlist.wake()

    def stop(self) -> None:
        """Stop playing within 100 ms, and drop queued chunks and paused replies. Never blocks.

        Late chunks of the stopped replies are ignored.
        """
        self._quiet_id = ""
        self._playlist.stop()

    def close(self) -> bool:
        """Stop playing and end the thread; return False if it did not end within 2 s."""
        self._playlist.close()
        return self._thread.end(CLOSE_S)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _run(self) -> None:
        self._player.look()
        while not self._playlist.closed:
            if self._step():
                continue
            self._playlist.wait(TICK_S if self._player.is_open else IDLE_S)
            if not (self._player.is_open or self._player.is_expecting):
                self._player.look()
        self._player.close()

    def _step(self) -> bool:
        """Do what is due now; return whether there is more to do at once."""
        self._follow_orders()
        player = self._player
        try:
            if not player.is_paused and player.is_hungry and self._advance() and player.is_hungry:
                return True
            taken = player.pump()
        except SpeakerLost as error:
            self._lose(self._reply, error)
            return True
        if taken:
            self._report_start(self._reply)
        return taken > 0 and player.is_hungry

    def _follow_orders(self) -> None:
        """Do what other threads asked for since the last step."""
        player, turn_id = self._player, self._reply.turn_id
        player.warm_s = self._options.warm_s
        player.lead_in_s = self._options.lead_in_ms / 1000
        is_quiet = turn_id != "" and turn_id == self._quiet_id
        player.set_gain(self._volume.percent, ducked=self._is_ducked or is_quiet)
        if turn_id and self._playlist.is_stopped(turn_id):
            player.stop()
            player.is_expecting = False
            self._reply, self._sound, self._end = _Reply(), None, None
            self._resampler = None
        elif self._playlist.is_paused(turn_id) and not self._reply.is_over:
            player.pause()
        else:
            player.resume()
        if self._is_expected:
            self._is_expected = False
            player.prepare()
        if self._chime:
            sound, self._chime = self._chime, b""
            player.chime(decode_wav(sound, max_seconds=MAX_SECONDS))

    def _advance(self) -> bool:
        """Give the player more sound, or end the reply; return whether there was any."""
        if self._sound is not None:
            self._decode_more(self._sound)
            return True
        if self._end is not None:
            if self._player.is_heard:
                self._finish(self._end)
                return True
            return False
        item = self._playlist.take()
        if isinstance(item, Chunk):
            self._begin(item)
        elif item is not None:
            self._reply_of(item.turn_id)
            self._flush()
            self._end = item
        return item is not None

    def _begin(self, chunk: Chunk) -> None:
        reply = self._reply_of(chunk.turn_id)
        try:
            sound = self._decoder.open(chunk.content_type, chunk.audio, MAX_CHUNK_S)
        except UnplayableError as error:
            self._skip(reply, chunk.index, error)
            return
        files = self._files
        if files is not None:
            files.save(chunk.turn_id, chunk.index, chunk.audio, sound.format)
        if reply.is_lost:
            reply.leave_out(Unheard.SPEAKER_LOST)
            return
        unheard = self._player.open()
        if unheard:
            reply.leave_out(unheard)
            if sound.has_sound:
                self._report_start(reply)
            return
        rates = (sound.rate, self._player.rate)
        if self._resampler is None or self._resampler.rates != rates:
            self._flush()
            self._resampler = Resampler(*rates)
        self._player.begin_chunk()
        self._sound = _Decoding(chunk.index, sound)

    def _decode_more(self, going: "_Decoding") -> None:
        try:
            pcm = going.sound.read(max(1, round(going.sound.rate * PIECE_S)))
        except UnplayableError as error:
            self._skip(self._reply, going.index, error)
            pcm = _NOTHING
        if len(pcm) and self._resampler is not None:
            self._player.add(self._resampler.push(pcm))
            return
        self._sound = None
        if not self._playlist.has_more(self._reply.turn_id):
            self._flush()

    def _flush(self) -> None:
        """Play the rest of what the resampler got.

        It continues from chunk to chunk of a reply: a new one for each would click where they meet.
        """
        resampler, self._resampler = self._resampler, None
        if resampler is not None:
            self._player.add(resampler.finish())

    def _skip(self, reply: _Reply, index: int, error: UnplayableError) -> None:
        reply.leave_out(Unheard.NOT_PLAYABLE)
        self.skipped += 1
        words, fields = "chunk %d of the reply is left out: it %s", {"TURN_ID": reply.turn_id}
        level = logging.DEBUG if reply.has_warned else logging.WARNING
        reply.has_warned = True
        _LOGGER.log(level, words, index, error, extra=fields)

    def _lose(self, reply: _Reply, error: SpeakerLost) -> None:
        """Close an output that failed. If it was playing, the rest of the reply is dropped."""
        if self._sound is None and self._player.is_hungry:
            self._player.fail()
            return
        fields = SPEAKER_LOST.fields(TURN_ID=reply.turn_id, REASON=error)
        words = "speaker lost, the rest of this reply is not heard: %s"
        _LOGGER.warning(words, error, extra=fields)
        reply.is_lost = True
        reply.leave_out(Unheard.SPEAKER_LOST)
        self._sound = self._resampler = None
        self._player.fail(str(error))

    def _finish(self, end: EndOfReply) -> None:
        """Call the callbacks at the end of a reply, unless it was stopped."""
        self._end, reply = None, self._reply
        reply.is_over = True
        self._player.is_expecting = False
        if not self._playlist.is_stopped(end.turn_id):
            reply.leave_out(Unheard.QUEUE_FULL, end.refused)
            self._on_heard(end.turn_id, reply.playback())
            self._on_ended(end.turn_id)

    def _reply_of(self, turn_id: str) -> _Reply:
        if self._reply.turn_id != turn_id:
            self._reply = _Reply(turn_id)
            self._player.begin_reply()
        self._player.is_expecting = True
        return self._reply

    def _report_start(self, reply: _Reply) -> None:
        reply.is_audible |= not self._player.unheard
        if not reply.has_started:
            reply.has_started = True
            if not reply.is_audible:
                self._on_heard(reply.turn_id, reply.playback())
            self._on_started(reply.turn_id)


def _files(options: config.SpeakerOptions) -> ReplyFiles | None:
    return ReplyFiles(options.output_dir) if options.output_dir else None
