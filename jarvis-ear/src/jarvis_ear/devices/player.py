"""Player: plays the chunks of a reply in order."""

import errno
import logging
import os
import re
import stat
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from jarvis_ear.audio.resample import Resampler
from jarvis_ear.audio.wav import Sound, WavError, decode_wav
from jarvis_ear.delivery.playback import Playback, Unheard
from jarvis_ear.devices.output import NoOutput, Output
from jarvis_ear.errors import SpeakerLost
from jarvis_ear.journal.sound import SPEAKER_LOST

_LOGGER = logging.getLogger(__name__)

MAX_NAME: Final = 64
"""Characters of a turn id that go into a file name."""


class ReplyFiles:
    """Writes replies as ``<turn>-<index>.wav``, readable by the owner only. For the speaker thread.

    A failure to write is one warning, and does not affect the reply.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.failures = 0
        """Chunks that could not be written."""

    def save(self, turn_id: str, index: int, audio: bytes) -> None:
        """Write one chunk; a file of the same name is replaced."""
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._write(self._folder / file_name(turn_id, index), audio)
        except OSError as error:
            self._fail(error)

    def _write(self, path: Path, audio: bytes) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        with open(os.open(path, flags, 0o600), "wb") as file:  # noqa: PTH123 - Path.open has no mode
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise OSError(errno.EINVAL, f"{path.name} is no regular file")
            file.truncate()
            file.write(audio)

    def _fail(self, error: OSError) -> None:
        self.failures += 1
        severity = logging.WARNING if self.failures == 1 else logging.DEBUG
        _LOGGER.log(severity, "reply not kept in %s: %s", self._folder, error.strerror)


def file_name(turn_id: str, index: int) -> str:
    """Return the file name of a chunk; text from the backend never becomes a path."""
    safe = re.sub(r"[^A-Za-z0-9_-]", "_", turn_id)[:MAX_NAME] or "turn"
    return f"{safe}-{index % 1_000_000:03d}.wav"


MAX_CHUNKS: Final = 1000
"""Maximum queued chunks: sentences, or quarters of a second on wires of raw audio."""

MAX_BYTES: Final = 32 * 1024 * 1024
"""Maximum queued sound: 17 minutes at 16 kHz."""

MAX_MARKS: Final = 64
"""Maximum queued ends of replies. A speaker this far behind hangs."""

MAX_STOPPED: Final = 16
"""Stopped turns whose late chunks are recognised."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """One chunk of a reply, as received."""

    turn_id: str
    index: int
    content_type: str
    audio: bytes


@dataclass(frozen=True, slots=True)
class EndOfReply:
    """No chunk of this reply will follow."""

    turn_id: str
    refused: int = 0
    """Chunks of the reply that found no room."""


Item: TypeAlias = Chunk | EndOfReply


class Playlist:
    """Queue of chunks for the speaker thread. Any thread may add; one thread takes.

    Bound: 1000 chunks and 32 MiB. When full, the newest chunk is refused (``refused``), so that the
    one being played stays whole.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._items: deque[Item] = deque()
        self._bytes = 0
        self._turn_id: str | None = None  # of the last item taken
        self._stopped: deque[str] = deque(maxlen=MAX_STOPPED)
        self._interrupted = False
        self._closed = False
        self._refused_of: Counter[str] = Counter()  # of turns that have not ended
        self.refused = 0
        """Chunks that found no room."""

    def add(self, chunk: Chunk) -> bool:
        """Add ``chunk``, unless its turn was stopped; False if there is no room. Never blocks."""
        with self._changed:
            if self._closed or chunk.turn_id in self._stopped:
                return True
            chunks = sum(isinstance(item, Chunk) for item in self._items)
            if chunks >= MAX_CHUNKS or self._bytes + len(chunk.audio) > MAX_BYTES:
                self.refused += 1
                self._refused_of[chunk.turn_id] += 1
                return False
            self._bytes += len(chunk.audio)
            self._append(chunk)
            return True

    def end(self, turn_id: str) -> None:
        """Mark the end of a reply, unless its turn was stopped. Never blocks."""
        with self._changed:
            refused = self._refused_of.pop(turn_id, 0)
            marks = sum(isinstance(item, EndOfReply) for item in self._items)
            if not self._closed and turn_id not in self._stopped and marks < MAX_MARKS:
                self._append(EndOfReply(turn_id, refused))

    def take(self, timeout_s: float) -> Item | None:
        """Remove and return the oldest item; None if playback must stop or pause.

        That is the case at the timeout, when everything was stopped, and after ``close``.
        """
        with self._changed:
            self._changed.wait_for(
                lambda: self._items or self._interrupted or self._closed, timeout_s
            )
            if self._interrupted or self._closed or not self._items:
                self._interrupted = False
                return None
            item = self._items.popleft()
            if isinstance(item, Chunk):
                self._bytes -= len(item.audio)
            self._turn_id = item.turn_id
            return item

    def stop(self) -> None:
        """Drop all known turns, including the one being played."""
        with self._changed:
            known = [item.turn_id for item in self._items]
            if self._turn_id is not None:
                known.append(self._turn_id)
            self._stopped.extend(turn for turn in dict.fromkeys(known) if turn not in self._stopped)
            self._interrupted = True
            self._clear()

    def is_stopped(self, turn_id: str) -> bool:
        """Return whether this turn was stopped or the playlist closed."""
        with self._changed:
            return self._closed or turn_id in self._stopped

    def wait_stopped(self, turn_id: str, timeout_s: float) -> bool:
        """Wait until this turn is stopped; return False at the timeout."""
        with self._changed:
            return self._changed.wait_for(
                lambda: self._closed or turn_id in self._stopped, timeout_s
            )

    def close(self) -> None:
        """Drop everything and wake all waiters; no more items are accepted."""
        with self._changed:
            self._closed = True
            self._clear()

    @property
    def closed(self) -> bool:
        """Whether items are no longer accepted."""
        return self._closed

    def _append(self, item: Item) -> None:
        self._items.append(item)
        self._changed.notify_all()

    def _clear(self) -> None:
        self._refused_of.clear()
        self._items.clear()
        self._bytes = 0
        self._changed.notify_all()


MAX_CHUNK_S: Final = 180.0
"""A chunk is a sentence. The backend's largest message holds two minutes at 16 kHz."""

GIVE_UP_S: Final = 5.0
"""Seconds without progress after which the speaker, and with it the reply, is lost."""

REMEDY: Final = "see jarvis-ear devices, and set speaker.device (none: replies are never heard)"
"""Advice for a missing loudspeaker."""

WAV_TYPES: Final = frozenset({"", "audio/wav", "audio/x-wav", "audio/wave", "audio/vnd.wave"})
"""Content types of WAV; without one, the header decides."""

LOOK_AGAIN_S: Final = 60.0
"""Seconds between searches for a missing loudspeaker, between replies."""

_DRAIN_POLL_S: Final = 0.01


@dataclass(slots=True)
class _Tally:
    """Outcome of the chunks of one reply so far."""

    turn_id: str = ""
    audible: bool = False
    left_out: int = 0
    reason: Unheard = Unheard.NOTHING

    def leave_out(self, reason: Unheard, chunks: int = 1) -> None:
        """Count chunks that are not played; the first reason is kept."""
        if chunks:
            self.left_out += chunks
            self.reason = self.reason or reason

    def playback(self) -> Playback:
        """Return the tally as a ``Playback``."""
        return Playback(self.audible, self.left_out, self.reason)


class Player:
    """Decodes, converts and writes chunks. Lives in the speaker thread."""

    def __init__(
        self,
        output: Output,
        playlist: Playlist,
        *,
        files: ReplyFiles | None,
        on_started: Callable[[str], None],
        on_ended: Callable[[str], None],
        on_heard: Callable[[str, Playback], None] = lambda _turn_id, _playback: None,
        monotonic: Callable[[], float],
    ) -> None:
        self._output = output
        self._playlist = playlist
        self._files = files
        self._on_started = on_started
        self._on_ended = on_ended
        self._on_heard = on_heard
        self._monotonic = monotonic
        self._opened: Output | None = None  # the output, or its silent replacement
        self._rate = 0  # of the opened output
        self._started_turn: str | None = None
        self._failed_turn: str | None = None  # the speaker was lost during it: the rest is dropped
        self._warned_turn: str | None = None
        self._tally = _Tally()
        self._silent = Unheard.NOTHING  # why the opened output is silent
        self._is_new = True  # the output was not looked up yet
        self._looked_at = 0.0
        self.lack = ""
        """Known reason why replies are not heard; empty if none. Any thread may read it."""
        self.skipped = 0
        """Chunks in a format that cannot be played."""

    def change(self, output: Output, files: ReplyFiles | None) -> None:
        """Use this output for the next reply; the current one is unaffected. Any thread."""
        self._output = output
        self._files = files
        self._is_new = True

    def look(self) -> None:
        """Look up a new loudspeaker, or a missing one if the interval has passed."""
        now = self._monotonic()
        if self._is_new or (self.lack and now - self._looked_at >= LOOK_AGAIN_S):
            self._is_new = False
            self._looked_at = now
            self._note_lack(self._output.lack())

    @property
    def unsaved(self) -> int:
        """Chunks that could not be written to the current folder. Any thread may read it."""
        files = self._files
        return 0 if files is None else files.failures

    def play(self, chunk: Chunk) -> None:
        """Write one chunk completely, unless its turn is stopped or the speaker fails."""
        if self._playlist.is_stopped(chunk.turn_id):
            return
        tally = self._tally_of(chunk.turn_id)
        sound = self._decode(chunk)
        if sound is None:
            tally.leave_out(Unheard.NOT_PLAYABLE)
            return
        files = self._files
        if files is not None:
            files.save(chunk.turn_id, chunk.index, chunk.audio)
        if chunk.turn_id == self._failed_turn:
            tally.leave_out(Unheard.SPEAKER_LOST)
            return
        try:
            self._write_all(sound, chunk.turn_id)
        except SpeakerLost as error:
            _LOGGER.warning(
                "speaker lost, the rest of this reply is not heard: %s",
                error,
                extra=SPEAKER_LOST.fields(TURN_ID=chunk.turn_id, REASON=error),
            )
            self._failed_turn = chunk.turn_id
            self.lack = str(error)
            tally.leave_out(Unheard.SPEAKER_LOST)
            self.silence()

    def finish(self, turn_id: str, refused: int = 0) -> None:
        """Wait until everything is played, then call the callbacks, unless the turn is stopped.

        ``refused``: chunks of the reply that the playlist refused.
        """
        while self._pending() and not self._playlist.wait_stopped(turn_id, _DRAIN_POLL_S):
            pass
        self.silence()
        if not self._playlist.is_stopped(turn_id):
            tally = self._tally_of(turn_id)
            tally.leave_out(Unheard.QUEUE_FULL, refused)
            self._on_heard(turn_id, tally.playback())
            self._on_ended(turn_id)

    def silence(self) -> None:
        """Stop playing at once and close the device."""
        if self._opened is not None:
            self._opened.close()
            self._opened = None

    def _decode(self, chunk: Chunk) -> Sound | None:
        kind = chunk.content_type.partition(";")[0].strip().lower()
        if kind not in WAV_TYPES:
            self._skip(chunk, f"it is {kind[:40]!r}, and only WAV can be played")
            return None
        try:
            return decode_wav(chunk.audio, max_seconds=MAX_CHUNK_S)
        except WavError as error:
            self._skip(chunk, f"it {error}")
            return None

    def _skip(self, chunk: Chunk, reason: str) -> None:
        self.skipped += 1
        severity = logging.DEBUG if chunk.turn_id == self._warned_turn else logging.WARNING
        self._warned_turn = chunk.turn_id
        words, fields = "chunk %d of the reply is left out: %s", {"TURN_ID": chunk.turn_id}
        _LOGGER.log(severity, words, chunk.index, reason, extra=fields)

    def _write_all(self, sound: Sound, turn_id: str) -> None:
        output = self._open()
        if self._silent:
            self._tally_of(turn_id).leave_out(self._silent)
        for piece in _pieces(sound, self._rate):
            self._write(output, piece, turn_id)
            if self._playlist.is_stopped(turn_id):
                self.silence()
                return

    def _write(self, output: Output, pcm: npt.NDArray[np.int16], turn_id: str) -> None:
        progress_at = self._monotonic()
        while len(pcm) and not self._playlist.is_stopped(turn_id):
            taken = output.write(pcm)
            now = self._monotonic()
            if taken:
                progress_at = now
                self._tell_started(turn_id)
            elif now - progress_at >= GIVE_UP_S:
                raise SpeakerLost(f"it took no sound for {GIVE_UP_S:g} s")
            pcm = pcm[taken:]

    def _tell_started(self, turn_id: str) -> None:
        tally = self._tally_of(turn_id)
        tally.audible |= not self._silent
        if self._started_turn != turn_id:
            self._started_turn = turn_id
            if not tally.audible:
                self._on_heard(turn_id, tally.playback())
            self._on_started(turn_id)

    def _tally_of(self, turn_id: str) -> _Tally:
        """Return the tally of this turn; replies do not overlap."""
        if self._tally.turn_id != turn_id:
            self._tally = _Tally(turn_id)
        return self._tally

    def _open(self) -> Output:
        if self._opened is not None:
            return self._opened
        opened = self._output
        self._silent = Unheard.NO_SPEAKER if isinstance(opened, NoOutput) else Unheard.NOTHING
        try:
            self._rate = opened.open()
            self._note_lack("")
        except SpeakerLost as error:
            self._note_lack(str(error))
            self._silent = Unheard.SPEAKER_UNAVAILABLE
            opened = NoOutput()
            self._rate = opened.open()
        self._opened = opened
        return opened

    def _note_lack(self, reason: str) -> None:
        """Log why replies are not heard, once per reason, and when they are heard again."""
        if reason == self.lack:
            return
        self.lack = reason
        if not reason:
            if not isinstance(self._output, NoOutput):  # else no speaker is configured any more
                _LOGGER.info("the loudspeaker is there again")
            return
        fields = SPEAKER_LOST.fields(REASON=reason)
        _LOGGER.warning("replies are not heard: %s; %s", reason, REMEDY, extra=fields)

    def _pending(self) -> bool:
        return self._opened is not None and self._opened.pending()


def _pieces(sound: Sound, rate: int) -> Iterator[npt.NDArray[np.int16]]:
    """Convert ``sound`` to mono at ``rate`` in pieces of 0.5 s, so that a stop need not wait."""
    resampler = Resampler(sound.rate, rate)
    pcm = sound.mono()
    length = max(1, sound.rate // 2)
    for start in range(0, len(pcm), length):
        yield resampler.push(pcm[start : start + length])
    yield resampler.finish()
