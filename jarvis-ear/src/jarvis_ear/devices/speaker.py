"""Speaker: plays replies in its own thread."""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from typing import Final, Self

from jarvis_ear import config
from jarvis_ear.delivery.playback import Playback
from jarvis_ear.devices.output import NoOutput, Output, PortAudioOutput
from jarvis_ear.devices.player import Chunk, EndOfReply, Player, Playlist, ReplyFiles

NONE: Final = "none"
"""Value of ``speaker.device`` for no speaker."""

IDLE_S: Final = 5.0
"""Seconds of pause in an unfinished reply after which the device is closed until it continues."""

CLOSE_S: Final = 2.0
"""The thread checks every 20 ms; if it takes longer to end, it hangs in a driver."""

_LOGGER = logging.getLogger(__name__)


class Speaker:
    """Plays replies. ``start`` and ``close`` by its owner; the rest by any thread.

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
        self._playlist = Playlist()
        self._player = Player(
            output or make_output(options),
            self._playlist,
            files=_files(options),
            on_started=on_started,
            on_ended=on_ended,
            on_heard=on_heard,
            monotonic=monotonic,
        )
        self._device = options.device
        self._was_full = False
        self._thread = threading.Thread(target=self._run, name="speaker", daemon=True)

    @property
    def refused(self) -> int:
        """Chunks that found no room in the queue."""
        return self._playlist.refused

    @property
    def skipped(self) -> int:
        """Chunks in a format that cannot be played."""
        return self._player.skipped

    @property
    def lack(self) -> str:
        """Why replies are not heard although they should be; empty if no reason is known."""
        return self._player.lack

    @property
    def condition(self) -> str:
        """State of the loudspeaker, in words."""
        return "none is configured" if self._device == NONE else self.lack or "fine"

    def counters(self) -> Mapping[str, int]:
        """Return the numbers of chunks left out, by reason. Any thread may call it."""
        return {
            "reply_pieces_refused": self._playlist.refused,
            "reply_pieces_skipped": self._player.skipped,
            "reply_pieces_unsaved": self._player.unsaved,
        }

    def change(self, options: config.SpeakerOptions) -> None:
        """Use other options from the next reply on. Never blocks."""
        self._device = options.device
        self._player.change(make_output(options), _files(options))

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
        self._player.look()
        while not self._playlist.closed:
            match self._playlist.take(IDLE_S):
                case Chunk() as chunk:
                    self._player.play(chunk)
                case EndOfReply(turn_id, refused):
                    self._player.finish(turn_id, refused)
                case None:
                    self._player.silence()
                    self._player.look()
        self._player.silence()


def _files(options: config.SpeakerOptions) -> ReplyFiles | None:
    return ReplyFiles(options.output_dir) if options.output_dir else None


def make_output(options: config.SpeakerOptions) -> Output:
    """Return the configured output, not yet open."""
    if options.device == NONE:
        _LOGGER.info("no speaker is configured: replies are not heard")
        return NoOutput()
    return PortAudioOutput(options.device)
