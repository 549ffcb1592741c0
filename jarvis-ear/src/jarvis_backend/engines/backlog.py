"""Backlog: how much sound waits to be understood, and whether more of it would be in time."""

from typing import Final

from jarvis_backend.errors import EngineBusy

FIRST_PACE: Final = 0.2
"""Seconds of work for a second of sound until it was measured: pocketsphinx on an idle core of
2020 takes 0.16 for a long phrase, and a little more for a command."""

INERTIA: Final = 0.8
"""How much of the pace so far stays after each utterance: it follows a machine that gets busy
within five of them, and no single one decides."""


class Backlog:
    """Counts what was let in and is not understood yet. Lives on the loop; has no clock.

    Bound: ``most`` utterances, and what ``decoders`` can work off within ``patience_s`` at the
    pace measured so far. Policy: one more is refused. Counter: ``refused``. While a decoder is
    free nobody is refused: a wrong pace could never be mended.
    """

    def __init__(self, decoders: int, most: int, patience_s: float) -> None:
        self._decoders = decoders
        self._most = most
        self._patience_s = patience_s
        self._pace = FIRST_PACE
        self._inside = 0
        self._sound_s = 0.0
        self.refused = 0

    def enter(self, sound_s: float) -> None:
        """Let an utterance in, or raise ``EngineBusy``. Each that is let in leaves once."""
        if self._inside >= self._decoders:
            try:
                self._refuse_late(sound_s)
            except EngineBusy:
                self.refused += 1
                raise
        self._inside += 1
        self._sound_s += sound_s

    def leave(self, sound_s: float) -> None:
        """Forget an utterance, understood or not."""
        self._inside -= 1
        self._sound_s -= sound_s

    def took(self, work_s: float, sound_s: float) -> None:
        """Learn from one that was understood how long the next ones will take."""
        if sound_s > 0:
            self._pace = INERTIA * self._pace + (1 - INERTIA) * work_s / sound_s

    def _refuse_late(self, sound_s: float) -> None:
        waiting = self._inside - self._decoders
        if waiting >= self._most:
            raise EngineBusy(
                f"STT service not available: it is busy, {waiting} utterances wait already"
            )
        expected_s = (self._sound_s / self._decoders + sound_s) * self._pace
        if expected_s > self._patience_s:
            raise EngineBusy(
                f"STT service not available: it is busy, this would take {expected_s:.0f} s, "
                f"expected at most {self._patience_s:g} s"
            )
