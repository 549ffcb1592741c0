"""Speaker: plays the chunks of replies in its own thread."""

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
import numpy.typing as npt

from jarvis_ear import config
from jarvis_ear.audio.resample import Resampler
from jarvis_ear.audio.wav import Sound, WavError, decode_wav
from jarvis_ear.delivery.playback import Playback, Unheard
from jarvis_ear.devices.output import NONE, Output, ReplyFiles, make_output
from jarvis_ear.devices.playlist import Chunk, EndOfReply, Playlist
from jarvis_ear.errors import SpeakerLost
from jarvis_ear.journal.sound import SPEAKER_LOST
from jarvis_ear.process import NamedThread

IDLE_S: Final = 5.0
"""Seconds of pause in an unfinished reply after which the device is closed until it continues."""

CLOSE_S: Final = 2.0
"""The thread checks every 20 ms; if it takes longer to end, it hangs in a driver."""

MAX_CHUNK_S: Final = 180.0
"""The backend's largest message holds two minutes at 16 kHz."""

GIVE_UP_S: Final = 5.0
"""Seconds without progress after which the speaker, and with it the reply, is lost."""

REMEDY: Final = "see jarvis-ear devices, and set speaker.device (none: replies are never heard)"
"""Advice for a missing loudspeaker."""

WAV_TYPES: Final = frozenset({"", "audio/wav", "audio/x-wav", "audio/wave", "audio/vnd.wave"})
"""Content types of WAV; without one, the header decides."""

CHECK_AGAIN_S: Final = 60.0
"""Seconds between searches for a missing loudspeaker, between replies."""

_DRAIN_POLL_S: Final = 0.01

_LOGGER = logging.getLogger(__name__)


@dataclass(slots=True)
class _Reply:
    """The reply that is being played; replies do not overlap."""

    turn_id: str = ""
    has_started: bool = False
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
    reply: just before its end, and before its start if that is silent.
    """

    def __init__(
        self,
        options: config.SpeakerOptions,
        *,
        on_started: Callable[[str], None],
        on_ended: Callable[[str], None],
        on_heard: Callable[[str, Playback], None] = lambda _turn_id, _playback: None,
        output: Output | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._on_started = on_started
        self._on_ended = on_ended
        self._on_heard = on_heard
        self._monotonic = monotonic
        self._playlist = Playlist()
        self._was_full = False
        self._device = options.device
        self._output = output or make_output(options)  # None: no speaker is wanted
        self._files = _files(options)
        self._is_new = True  # the output was not checked yet
        self._checked_at = 0.0
        self._opened: Output | None = None
        self._rate = 0  # of the opened output
        self._unheard = Unheard.NOTHING  # why the reply cannot be heard, if it has no output
        self._reply = _Reply()
        self._thread = NamedThread(target=self._run, name="speaker", daemon=True)
        self.problem = ""
        """Known reason why replies are not heard; empty if none. Any thread may read it."""
        self.skipped = 0
        """Chunks in a format that cannot be played."""

    @property
    def condition(self) -> str:
        """State of the loudspeaker, in words."""
        return "none is configured" if self._device == NONE else self.problem or "fine"

    def counters(self) -> Mapping[str, int]:
        """Return the numbers of chunks left out, by reason. Any thread may call it."""
        files = self._files
        return {
            "reply_pieces_refused": self._playlist.refused,
            "reply_pieces_skipped": self.skipped,
            "reply_pieces_unsaved": 0 if files is None else files.failures,
        }

    def change(self, options: config.SpeakerOptions) -> None:
        """Use other options from the next reply on. Never blocks."""
        self._device = options.device
        self._output = make_output(options)
        self._files = _files(options)
        self._is_new = True

    def start(self) -> None:
        """Start the thread, which looks up the loudspeaker and opens it for each reply."""
        self._thread.start()

    def play(self, turn_id: str, index: int, content_type: str, audio: bytes) -> None:
        """Queue ``audio`` for playback. Never blocks or fails."""
        has_room = self._playlist.add(Chunk(turn_id, index, content_type, audio))
        if not has_room and not self._was_full:
            _LOGGER.warning("reply is longer than the speaker's queue: chunks are left out")
        self._was_full = not has_room

    def finish(self, turn_id: str) -> None:
        """Mark the reply as complete: no chunk will follow. Never blocks."""
        self._playlist.end(turn_id)

    def stop(self) -> None:
        """Stop playing within some 10 ms, and drop queued chunks. Never blocks.

        Late chunks of the stopped replies are ignored.
        """
        self._playlist.stop()

    def close(self) -> bool:
        """Stop playing and end the thread; return False if it did not end within 2 s."""
        self._playlist.close()
        if self._thread.ident is None:
            return True
        self._thread.join(CLOSE_S)
        return not self._thread.is_alive()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _run(self) -> None:
        self._check()
        while not self._playlist.closed:
            match self._playlist.take(IDLE_S):
                case Chunk() as chunk:
                    self._play(chunk)
                case EndOfReply(turn_id, refused):
                    self._finish(turn_id, refused)
                case None:
                    self._silence()
                    self._check()
        self._silence()

    def _check(self) -> None:
        """Look up a new loudspeaker, or a missing one if the interval has passed."""
        now = self._monotonic()
        if self._is_new or (self.problem and now - self._checked_at >= CHECK_AGAIN_S):
            self._is_new = False
            self._checked_at = now
            self._set_problem(self._output.check() if self._output else "")

    def _play(self, chunk: Chunk) -> None:
        """Write one chunk completely, unless its turn is stopped or the speaker fails."""
        if self._playlist.is_stopped(chunk.turn_id):
            return
        reply = self._reply_of(chunk.turn_id)
        sound = self._decode(chunk, reply)
        if sound is None:
            reply.leave_out(Unheard.NOT_PLAYABLE)
            return
        files = self._files
        if files is not None:
            files.save(chunk.turn_id, chunk.index, chunk.audio)
        if reply.is_lost:
            reply.leave_out(Unheard.SPEAKER_LOST)
            return
        try:
            self._write_all(sound, reply)
        except SpeakerLost as error:
            fields = SPEAKER_LOST.fields(TURN_ID=chunk.turn_id, REASON=error)
            words = "speaker lost, the rest of this reply is not heard: %s"
            _LOGGER.warning(words, error, extra=fields)
            self.problem = str(error)
            reply.is_lost = True
            reply.leave_out(Unheard.SPEAKER_LOST)
            self._silence()

    def _finish(self, turn_id: str, refused: int = 0) -> None:
        """Wait until everything is played, then call the callbacks, unless the turn is stopped.

        ``refused``: chunks of the reply that the playlist refused.
        """
        while self._pending() and not self._playlist.wait_stopped(turn_id, _DRAIN_POLL_S):
            pass
        self._silence()
        if not self._playlist.is_stopped(turn_id):
            reply = self._reply_of(turn_id)
            reply.leave_out(Unheard.QUEUE_FULL, refused)
            self._on_heard(turn_id, reply.playback())
            self._on_ended(turn_id)

    def _silence(self) -> None:
        """Stop playing at once and close the device."""
        self._unheard = Unheard.NOTHING
        opened, self._opened = self._opened, None
        if opened is not None:
            opened.close()

    def _pending(self) -> bool:
        return self._opened is not None and self._opened.pending()

    def _reply_of(self, turn_id: str) -> _Reply:
        if self._reply.turn_id != turn_id:
            self._reply = _Reply(turn_id)
        return self._reply

    def _decode(self, chunk: Chunk, reply: _Reply) -> Sound | None:
        kind = chunk.content_type.partition(";")[0].strip().lower()
        try:
            if kind in WAV_TYPES:
                return decode_wav(chunk.audio, max_seconds=MAX_CHUNK_S)
            reason = f"is {kind[:40]!r}, and only WAV can be played"
        except WavError as error:
            reason = str(error)
        self.skipped += 1
        words, fields = "chunk %d of the reply is left out: it %s", {"TURN_ID": chunk.turn_id}
        level = logging.DEBUG if reply.has_warned else logging.WARNING
        reply.has_warned = True
        _LOGGER.log(level, words, chunk.index, reason, extra=fields)
        return None

    def _write_all(self, sound: Sound, reply: _Reply) -> None:
        output = self._open()
        if output is None:
            reply.leave_out(self._unheard)
            if len(sound.pcm):
                self._report_start(reply)
            return
        for piece in _pieces(sound, self._rate):
            self._write(output, piece, reply)
            if self._playlist.is_stopped(reply.turn_id):
                self._silence()
                return

    def _write(self, output: Output, pcm: npt.NDArray[np.int16], reply: _Reply) -> None:
        progress_at = self._monotonic()
        while len(pcm) and not self._playlist.is_stopped(reply.turn_id):
            taken = output.write(pcm)
            now = self._monotonic()
            if taken:
                progress_at = now
                self._report_start(reply)
            elif now - progress_at >= GIVE_UP_S:
                raise SpeakerLost(f"it took no sound for {GIVE_UP_S:g} s")
            pcm = pcm[taken:]

    def _report_start(self, reply: _Reply) -> None:
        reply.is_audible |= not self._unheard
        if not reply.has_started:
            reply.has_started = True
            if not reply.is_audible:
                self._on_heard(reply.turn_id, reply.playback())
            self._on_started(reply.turn_id)

    def _open(self) -> Output | None:
        """Return the open output; None for a reply that cannot be heard."""
        if self._opened is not None or self._unheard:
            return self._opened
        output = self._output
        if output is None:
            self._unheard = Unheard.NO_SPEAKER
            self._set_problem("")
            return None
        try:
            self._rate = output.open()
        except SpeakerLost as error:
            self._unheard = Unheard.SPEAKER_UNAVAILABLE
            self._set_problem(str(error))
            return None
        self._set_problem("")
        self._opened = output
        return output

    def _set_problem(self, reason: str) -> None:
        """Log why replies are not heard, once per reason, and when they are heard again."""
        if reason == self.problem:
            return
        self.problem = reason
        if reason:
            fields = SPEAKER_LOST.fields(REASON=reason)
            _LOGGER.warning("replies are not heard: %s; %s", reason, REMEDY, extra=fields)
        elif self._output is not None:
            _LOGGER.info("the loudspeaker is there again")


def _files(options: config.SpeakerOptions) -> ReplyFiles | None:
    return ReplyFiles(options.output_dir) if options.output_dir else None


def _pieces(sound: Sound, rate: int) -> Iterator[npt.NDArray[np.int16]]:
    """Convert ``sound`` to mono at ``rate`` in pieces of 0.5 s, so that a stop need not wait."""
    resampler = Resampler(sound.rate, rate)
    pcm = sound.mono()
    length = max(1, sound.rate // 2)
    for start in range(0, len(pcm), length):
        yield resampler.push(pcm[start : start + length])
    yield resampler.finish()
