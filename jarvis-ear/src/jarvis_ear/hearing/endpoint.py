"""Endpointing: where an utterance starts and where it ends.

A start needs two detectors: the cheap gate opens and the speech model confirms, so that a fan opens
nothing. The end is decided by the speech model and by the level relative to the loudest of the
utterance: a voice on the television is quieter than the person at the microphone. The hangover
counts from the last audible sound, which fades below that level. At its end, an utterance is
refused if it is not the person's. All times are counted in samples.
"""

import heapq
import math
from collections import deque
from dataclasses import dataclass
from typing import Final, TypeAlias

from jarvis_ear import config
from jarvis_ear.audio.frames import Frame
from jarvis_ear.hearing.events import RefusalReason, SpeechDiscarded, SpeechStarted
from jarvis_ear.hearing.gate import Evidence
from jarvis_ear.hearing.utterance import EndReason
from jarvis_ear.units import FRAME_SAMPLES, Samples, samples

SPEECH_PROBABILITY: Final = 0.5
"""Threshold of the speech model: best for silero, between 0.3 (late ends) and 0.7 (cut-offs)."""

BELOW_PEAK: Final = 10 ** (-9 / 10)
"""-9 dB as a ratio of energies: speech further below the peak is from another speaker."""

BELOW_AUDIBLE: Final = 10 ** (-25 / 10)
"""-25 dB as a ratio of energies: sound further below the peak is breath, echo and room."""

ABOVE_ROOM_SPOKEN: Final = 10 ** (6 / 10)
"""6 dB as a ratio of energies: quieter speech is that of the room, a babble of voices."""

ABOVE_ROOM: Final = 10 ** (12 / 10)
"""12 dB as a ratio of energies: other sound closer to the quietest moment is noise of the room."""

LONGEST_CLOSURE: Final = samples(100)
"""Longest silence before the burst of a last t or k."""

LONGEST_FADING: Final = samples(300)
"""Longest quiet end of a last word: what is audible for longer is another speaker."""

SMOOTHING_FRAMES: Final = 5
"""100 ms, about a syllable: the level of one frame does not identify the speaker."""


CERTAIN_PROBABILITY: Final = 0.8
"""Probability from which the speech model is certain."""

LEAST_CERTAIN_FRAMES: Final = 5
"""Fewest frames of speech, 100 ms, of which the speech model is certain. Measured: a bare "stop" of
nine voices has 6 and more, clatter mostly none."""

SHORT_FRAMES: Final = 15
"""Frames of such speech, 300 ms, below which it may be noise."""

LOUDEST_FRAMES: Final = 10
"""Number of frames over whose levels the loudness of speech is the mean: 200 ms."""


GRACE: Final = samples(1000)
"""Time after the wait for speech in which an open utterance may turn out to be a person's."""


@dataclass(frozen=True, slots=True)
class Demand:
    """Demands on an utterance; one that does not meet them is refused. Levels are mean squares."""

    syllable: float = 0.0
    """Least level of the loudest syllable."""
    loudness: float = 0.0
    """Least mean of the ``LOUDEST_FRAMES`` highest levels."""
    because_of_talk: bool = False
    """Whether ``loudness`` is that high because of talk before the wake word."""
    noise: float = 0.0
    """Least mean of these levels if the speech is short, see ``SHORT_FRAMES``."""
    certain: bool = False
    """Whether the speech model must be certain of ``LEAST_CERTAIN_FRAMES``."""


NO_DEMAND: Final = Demand()


@dataclass(frozen=True, slots=True)
class SpeechOver:
    """The utterance is complete."""

    at: Samples
    """First sample after the last speech."""
    reason: EndReason


Endpoint: TypeAlias = SpeechStarted | SpeechDiscarded | SpeechOver


class Endpointer:
    """Finds start and end of speech in frames and their evidence. Owned by the ear thread."""

    def __init__(self, endpointing: config.EndpointingOptions) -> None:
        self._onset = samples(endpointing.onset_ms)
        self._hangover = samples(endpointing.hangover_ms)
        self._max = samples(endpointing.max_ms)
        self._run_start: Samples | None = None
        self._peak = 0.0
        self._spoken = Samples(0)
        self.listen(Samples(0))

    @property
    def spoken(self) -> Samples:
        """Amount of speech so far."""
        return self._spoken

    @property
    def last_spoken(self) -> Samples:
        """First sample after the last sound of the utterance."""
        return self._last_spoken

    @property
    def peak(self) -> float:
        """Level of the loudest syllable so far, as a mean square."""
        return self._peak

    def listen(
        self,
        since: Samples,
        demand: Demand = NO_DEMAND,
        *,
        first: float = 0.0,
        tail: float = 0.0,
    ) -> None:
        """Wait for speech; speech before ``since`` does not count.

        An utterance has to meet ``demand`` at its end. One begins only when a syllable is at least
        as loud (mean square) as ``first``, or as ``tail`` if it continues without a pause from
        before ``since``.
        """
        self._since = since
        self._demand = demand
        self._first = first
        self._tail = tail
        self._levels: deque[float] = deque(maxlen=SMOOTHING_FRAMES)
        self._forget_run()
        self._least = Samples(0)
        self._last_spoken = since
        self._is_certain = False
        self._fades_until = since
        self._quietest = math.inf
        self._limit: Samples | None = None
        self._until: Samples | None = None

    def begin(self, start: Samples, least: Samples, until: Samples | None = None) -> None:
        """Open the utterance at ``start`` (pre-roll included); ``least`` is its minimum speech.

        From ``until`` on, it ends as soon as it does not meet the demand: talk in the
        room does not delay the end.
        """
        self._limit = Samples(start + self._max)
        self._least = least
        self._until = until

    def hear(self, frame: Frame, evidence: Evidence) -> Endpoint | None:
        """Process the next frame; usually returns None."""
        self._levels.append(evidence.level)
        self._is_certain = evidence.probability >= CERTAIN_PROBABILITY
        if len(self._levels) == SMOOTHING_FRAMES:
            self._quietest = min(self._quietest, self._level())
        spoken = evidence.probability >= SPEECH_PROBABILITY
        if self._limit is None:
            return self._await(frame, spoken=spoken and evidence.speech)
        return self._follow(frame, self._limit, spoken=spoken)

    def finish(self, reason: EndReason) -> Endpoint:
        """Close the open utterance: no more sound follows."""
        if self._spoken < self._least:
            return SpeechDiscarded(self._last_spoken)
        refusal = self._refusal()
        if refusal is not None:
            return SpeechDiscarded(self._last_spoken, refusal)
        return SpeechOver(self._last_spoken, reason)

    @property
    def loudness(self) -> float:
        """Mean of the ``LOUDEST_FRAMES`` highest levels of the speech so far, as a mean square."""
        highest = heapq.nlargest(LOUDEST_FRAMES, self._speech)
        return sum(highest) / max(1, len(highest))

    def _refusal(self) -> RefusalReason | None:
        """Return why the utterance so far is not the person's; None: it is."""
        demand, loudness = self._demand, self.loudness
        if self._peak < demand.syllable or (
            loudness < demand.loudness and not demand.because_of_talk
        ):
            return RefusalReason.TOO_QUIET
        if loudness < demand.loudness:
            return RefusalReason.TALK
        if demand.certain and self._certain < LEAST_CERTAIN_FRAMES:
            return RefusalReason.NOISE
        if loudness < demand.noise and self._certain < SHORT_FRAMES:
            return RefusalReason.NOISE
        return None

    def _forget_run(self) -> None:
        """Clear peak and run: sound before the speech is not a measure of its level."""
        self._run_start = None
        self._peak = 0.0
        self._spoken = Samples(0)
        self._speech: list[float] = []  # levels of the frames of speech, at most max_ms of them
        self._certain = 0  # frames

    def _await(self, frame: Frame, *, spoken: bool) -> Endpoint | None:
        if not spoken or frame.start < self._since:
            self._forget_run()
            if frame.start >= self._since:
                self._tail = 0.0
            return None
        if self._run_start is None:
            self._run_start = frame.start
        self._note_speech(frame)
        if self._spoken < self._onset or self._peak < max(self._first, self._tail):
            return None
        return SpeechStarted(self._run_start)

    def _follow(self, frame: Frame, limit: Samples, *, spoken: bool) -> Endpoint | None:
        if spoken and self._level() >= self._peak * BELOW_PEAK:
            self._note_speech(frame)
            self._fades_until = Samples(frame.end + LONGEST_FADING)
        elif self._is_fading(frame, spoken=spoken):
            self._last_spoken = frame.end
        if frame.end - self._last_spoken >= self._hangover:
            return self.finish(EndReason.HANGOVER)
        if frame.end + FRAME_SAMPLES > limit:
            return self.finish(EndReason.MAX_LENGTH)
        return self._refuse_late(frame)

    def _refuse_late(self, frame: Frame) -> SpeechDiscarded | None:
        if self._until is None or frame.end < self._until:
            return None
        refusal = self._refusal()
        return None if refusal is None else SpeechDiscarded(self._last_spoken, refusal)

    def _is_fading(self, frame: Frame, *, spoken: bool) -> bool:
        """Whether the frame continues the last word, although it is quiet."""
        is_next = frame.start <= self._last_spoken + LONGEST_CLOSURE
        above = ABOVE_ROOM_SPOKEN if spoken else ABOVE_ROOM
        audible = max(self._peak * BELOW_AUDIBLE, self._quietest * above)
        return is_next and frame.end <= self._fades_until and self._levels[-1] >= audible

    def _note_speech(self, frame: Frame) -> None:
        level = self._level()
        self._peak = max(self._peak, level)
        self._speech.append(level)
        self._certain += self._is_certain
        self._spoken = Samples(self._spoken + FRAME_SAMPLES)
        self._last_spoken = frame.end

    def _level(self) -> float:
        return sum(self._levels) / len(self._levels)
