"""Speaker: plays replies, in a thread of its own."""

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
"""The device of an ear that shall not speak."""

IDLE_S: Final = 5.0
"""An unfinished reply that pauses for longer gives the device back until it goes on."""

CLOSE_S: Final = 2.0
"""The thread looks up every 20 ms; if it takes longer, it hangs in a driver."""

_LOGGER = logging.getLogger(__name__)


class Speaker:
    """The mouth of the ear. ``start`` and ``close`` by its owner; the rest by any thread.

    The callbacks run in the thread "speaker" and get the turn's id: ``on_started`` with the first
    sound of a reply, ``on_ended`` when the last sound of a finished reply was heard. A reply of
    which nothing could be played ends without having started. A stopped reply does not end: who
    stopped it knows. (An end that happens while ``stop`` is called may still be told.)
    ``on_heard`` says what was made of a reply: just before its end, and before its start where that
    makes no sound.
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
        """Chunks that are no sound we can play."""
        return self._player.skipped

    @property
    def lack(self) -> str:
        """Why replies are not heard although they should be; empty: no reason known."""
        return self._player.lack

    @property
    def condition(self) -> str:
        """Say in words how the loudspeaker is."""
        return "none is configured" if self._device == NONE else self.lack or "fine"

    def counters(self) -> Mapping[str, int]:
        """Return how many pieces of replies were left out, and why. Any thread may ask."""
        return {
            "reply_pieces_refused": self._playlist.refused,
            "reply_pieces_skipped": self._player.skipped,
            "reply_pieces_unsaved": self._player.unsaved,
        }

    def change(self, options: config.SpeakerOptions) -> None:
        """Go on with other options from the next reply on. Never waits."""
        self._device = options.device
        self._player.change(make_output(options), _files(options))

    def start(self) -> None:
        """Start the thread. It looks for the loudspeaker, and opens it when a reply comes."""
        self._thread.start()

    def play(self, turn_id: str, index: int, content_type: str, audio: bytes) -> None:
        """Play ``audio`` after what is waiting already. Never waits, never fails."""
        has_room = self._playlist.add(Chunk(turn_id, index, content_type, audio))
        if not has_room and not self._was_full:
            _LOGGER.warning("reply is longer than the speaker's queue: chunks are left out")
        self._was_full = not has_room

    def finish(self, turn_id: str) -> None:
        """Say that no chunk of this reply will follow. Never waits."""
        self._playlist.end(turn_id)

    def stop(self) -> None:
        """Be silent within some 10 ms, and forget what is waiting. Never waits.

        Late chunks of the stopped replies are ignored.
        """
        self._playlist.stop()

    def close(self) -> bool:
        """Be silent and end the thread; False if it did not end within 2 s."""
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
    """Choose the output that was configured. Nothing is opened yet."""
    if options.device == NONE:
        _LOGGER.info("no speaker is configured: replies are not heard")
        return NoOutput()
    return PortAudioOutput(options.device)
