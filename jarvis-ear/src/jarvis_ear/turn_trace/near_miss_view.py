"""NearMissView: near misses of the wake word, and what the shadow threshold would have done."""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from jarvis_ear.config import Config
from jarvis_ear.control.feed import Feed
from jarvis_ear.hearing.events import NearMiss, ShadowDiffered
from jarvis_ear.journal.sound import NEAR_MISS, NEAR_MISSES, SHADOW_DIFFERED
from jarvis_ear.turn_trace.trace import TraceEvent, TurnTrace

HOUR_S: Final = 3600.0
"""Seconds from a near miss to the line that counts it, with those that followed it."""

MAX_RECENT: Final = 256
"""Near misses that are kept for the status: one every 14 s for an hour."""

CLIPPED: Final = 0.003
"""Share of clipped samples from which the wake word is missed; see the kind ``SoundClipped``."""

QUIET_DBFS: Final = -50.0
"""Level of a word below which even the speech gate misses some (measured at -55)."""

NOISY_DB: Final = 20.0
"""Distance of a word from the noise floor below which the room is to blame. Measured with 40 words
among household noise or voices: 24 dB and more at a signal-to-noise ratio of 20 dB; at 10 dB, where
a tenth to a third is missed, the median is 19. A television, which pauses, hardly raises the floor.
"""


class Advice(NamedTuple):
    """Why the wake word was probably missed, and what to do about it."""

    reason: str
    remedy: str


_CLIPPED: Final = Advice("it was clipped", "lower the gain of the microphone (alsamixer)")
_QUIET: Final = Advice(
    "it was very quiet", "raise the gain of the microphone (alsamixer), or speak nearer to it"
)
_NOISY: Final = Advice(
    "it was hardly louder than the room",
    "speak nearer to the microphone, or move it away from noise",
)
_REPEATED: Final = Advice(
    "the score was too short, or soon after another wake word",
    "lower hearing.wake.patience or hearing.wake.refractory_ms",
)
_UNSURE: Final = Advice(
    "the sound was good enough, but the wake model was not sure",
    "set hearing.wake.strictness to eager, or a lower hearing.wake.threshold, if it often "
    "misses people",
)


def advice(miss: NearMiss, threshold: float) -> Advice:
    """Return the advice that fits the score and the sound of a near miss."""
    sound = miss.sound
    if sound.clipped >= CLIPPED:
        return _CLIPPED
    if sound.level < QUIET_DBFS:
        return _QUIET
    if miss.score >= threshold:
        return _REPEATED
    return _NOISY if sound.level - sound.noise_floor < NOISY_DB else _UNSURE


class NearMissView:
    """Logs near misses, shows them in the console, and counts them. Called by ``TurnHistory``.

    The main thread calls ``look``, and any thread ``details`` and ``counters``. One lock protects
    the near misses that were not counted in the log yet, and the newest ``MAX_RECENT``; the oldest
    goes.
    """

    def __init__(
        self,
        logger: logging.Logger,
        feed: Feed,
        monotonic: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._logger = logger
        self._feed = feed
        self._monotonic = monotonic
        self._wall = wall
        self._threshold = 0.0
        self._lock = threading.Lock()
        self._recent: deque[tuple[float, NearMiss]] = deque(maxlen=MAX_RECENT)
        self._since: float | None = None  # of the first one that was not counted in the log
        self._count = 0
        self._best: NearMiss | None = None  # of these
        self._total = 0
        self._shadow = 0.0
        self._shadow_wakes = 0
        self._shadow_misses = 0

    def change(self, options: Config) -> None:
        """Give advice for these options."""
        wake = options.hearing.wake
        self._threshold, self._shadow = wake.least_score, wake.shadow_threshold

    def draw(self, event: TraceEvent, trace: TurnTrace | None) -> None:  # noqa: ARG002 - no turn
        """Log and count a near miss, and show it to consoles."""
        if isinstance(event, ShadowDiffered):
            self._draw_shadow(event)
        if not isinstance(event, NearMiss):
            return
        why, threshold = advice(event, self._threshold), event.word.threshold or self._threshold
        now = self._monotonic()
        with self._lock:
            self._recent.append((now, event))
            self._total += 1
            self._count += 1
            self._since = now if self._since is None else self._since
            if self._best is None or event.score > self._best.score:
                self._best = event
        name = f'"{event.word.name}"'
        text = f"nearly {name} (score {event.score:.2f} of {threshold:g}): {why.reason}"
        score = round(event.score, 3)
        fields = NEAR_MISS.fields(WAKE_SCORE=score, REASON=why.reason)
        self._logger.debug("%s", text, extra={**_heard(event), **fields})
        topic = {"at": self._wall(), "score": round(event.score, 2), **why._asdict()}
        self._feed.put("near_miss", topic)

    def look(self) -> None:
        """Log how many near misses there were, an hour after the first one of them."""
        with self._lock:
            best, count = self._best, self._count
            if best is None or self._since is None or self._monotonic() - self._since < HOUR_S:
                return
            self._best, self._since, self._count = None, None, 0
        why = advice(best, self._threshold)
        counted = f"{count} near miss{'es' if count > 1 else ''} of the wake word in an hour"
        threshold = best.word.threshold or self._threshold
        scores = f"best score {best.score:.2f} of {threshold:g}"
        text = f"{counted}, {scores}: {why.reason}; {why.remedy}"
        score = round(best.score, 3)
        fields = NEAR_MISSES.fields(NEAR_MISSES=count, WAKE_SCORE=score, REASON=why.reason)
        self._logger.info("%s", text, extra={**_heard(best), **fields})

    def counters(self) -> Mapping[str, int]:
        """Return the number of near misses since the start, and of what a shadow threshold did.

        ``shadow_wakes``: it would have woken and the ear did not; ``shadow_misses``: the reverse.
        """
        if not self._shadow:
            return {"near_misses": self._total}
        shadow = {"shadow_wakes": self._shadow_wakes, "shadow_misses": self._shadow_misses}
        return {"near_misses": self._total, **shadow}

    def _draw_shadow(self, event: ShadowDiffered) -> None:
        """Log and count a decision of the shadow threshold that differs."""
        with self._lock:
            self._shadow_misses += event.woke
            self._shadow_wakes += not event.woke
        reason = f"of {self._shadow:g} would {'not ' if event.woke else ''}have woken"
        score = round(event.score, 3)
        fields = SHADOW_DIFFERED.fields(WAKE_SCORE=score, REASON=reason)
        text = f"a threshold {reason} (score {event.score:.2f}, threshold {self._threshold:g})"
        self._logger.info("%s", text, extra=fields)

    def details(self) -> Mapping[str, object]:
        """Return the near misses of the last hour, and the newest one, for the status."""
        now = self._monotonic()
        with self._lock:
            recent = [(now - at, miss) for at, miss in self._recent if now - at < HOUR_S]
        if not recent:
            return {"near_misses_in_hour": 0}
        ago_s, newest = recent[-1]
        why = advice(newest, self._threshold)
        return {
            "near_misses_in_hour": len(recent),
            "near_miss_best_score": round(max(miss.score for _, miss in recent), 3),
            "near_miss_s_ago": round(ago_s, 1),
            "near_miss_level_dbfs": round(newest.sound.level, 1),
            "near_miss_noise_floor_dbfs": round(newest.sound.noise_floor, 1),
            "near_miss_clipped_percent": round(100 * newest.sound.clipped, 2),
            "near_miss_reason": why.reason,
            "near_miss_remedy": why.remedy,
        }


def _heard(miss: NearMiss) -> dict[str, object]:
    """Return the fields that say how the microphone heard it."""
    return {
        "WAKE_WORD": miss.word.name,
        "LEVEL": round(miss.sound.level, 1),
        "NOISE_FLOOR": round(miss.sound.noise_floor, 1),
        "CLIPPED_PERCENT": round(100 * miss.sound.clipped, 2),
    }
