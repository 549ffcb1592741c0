"""What rules of detection make of scenes that a head never heard."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from bench.percent import interval
from wake_head.features import Heard
from wake_head.network import Head

from jarvis_ear.devices.openwakeword import VERIFIED_STEPS
from jarvis_ear.devices.wake_head import Floats
from jarvis_ear.hearing.wake import LEAST_ODDS, MOST_ODDS, VERIFIER_SLOPE, VERIFIER_ZERO
from jarvis_ear.hearing.wake_detector import LOOK_AGAIN
from jarvis_ear.units import SAMPLE_RATE, STEP_SAMPLES

THRESHOLD: Final = 0.5
"""Default threshold of the pretrained score."""

O_STEPS: Final = 2
V_STEPS: Final = 6
"""A rule takes the best score of the last two steps and the best logit of the last six: it decides
at most one step, 80 ms, later than the score reaches its value. With four steps instead of six, it
loses 4 of 291 words of real people on the development side, not 1: some scores come late."""

LEAST_SCORE: Final = 1e-5
"""Scores are taken to be at least so far from 0 and 1."""

EARLY_S: Final = 0.5
LATE_S: Final = 1.2
"""When a detection counts as that of the word: from so long before its end to so long after it."""

APART_S: Final = 2.0
"""Detections that follow sooner are the same."""


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule of detection, for each step."""

    name: str
    fires: Callable[[Floats, Floats], npt.NDArray[np.bool_]]
    """Takes scores and logits of all steps; returns where the rule is met."""


def today() -> Rule:
    """Return the rule without the head."""
    return Rule("score >= 0.5", lambda scores, _: scores >= THRESHOLD)


def verified(veto: float, least: float = np.inf) -> Rule:
    """Return the rule that asks the head.

    A logit below ``veto`` refuses a detection; with one above it, a score below the threshold is
    enough if the sum of its own logit and that of the head is at least ``least``.
    """

    def fires(scores: Floats, logits: Floats) -> npt.NDArray[np.bool_]:
        score, logit = best(scores, O_STEPS), best(logits, V_STEPS)
        odds = np.clip(score, LEAST_SCORE, 1 - LEAST_SCORE)
        enough = (score >= THRESHOLD) | (np.log(odds / (1 - odds)) + logit >= least)
        return np.asarray(enough & (logit >= veto))

    fusing = f" and (score >= 0.5 or logit(score) + v >= {least:g})"
    return Rule(f"v >= {veto:g}{' and score >= 0.5' if least == np.inf else fusing}", fires)


def weighed(least: float) -> Rule:
    """Return the rule of the ear, see ``judged_score``, without its second look at the grid."""

    def fires(scores: Floats, logits: Floats) -> npt.NDArray[np.bool_]:
        odds = np.clip(scores, LEAST_ODDS, MOST_ODDS)
        verdict = (best(logits, VERIFIED_STEPS) - VERIFIER_ZERO) / VERIFIER_SLOPE
        judged = 1 / (1 + np.exp(-np.log(odds / (1 - odds)) - verdict))
        is_judged = best(scores, 2) >= LOOK_AGAIN
        return np.asarray(np.where(is_judged, judged, scores) >= least)

    return Rule(f"ear, {least:g}", fires)


def best(values: Floats, steps: int) -> Floats:
    """Return for each step the best value of the last ``steps`` steps."""
    padded = np.concatenate((np.full(steps - 1, -np.inf, values.dtype), values))
    views = np.lib.stride_tricks.sliding_window_view(padded, steps)
    return np.asarray(views.max(axis=1), values.dtype)


@dataclass(frozen=True, slots=True)
class Judged:
    """A scene with the logits of a head."""

    scene: Heard
    logits: Floats

    def detections(self, rule: Rule) -> list[float]:
        """Return when the rule detects the word, in seconds after the end of what is said."""
        steps = np.flatnonzero(rule.fires(self.scene.scores, self.logits))
        times = ((steps + 1) * STEP_SAMPLES - self.scene.ends) / SAMPLE_RATE
        found: list[float] = []
        for time in times:
            if not found or time - found[-1] >= APART_S:
                found.append(float(time))
        return found

    def found(self, rule: Rule) -> float | None:
        """Return when the rule finds the word, or None if it does not."""
        steps = np.flatnonzero(rule.fires(self.scene.scores, self.logits))
        times = ((steps + 1) * STEP_SAMPLES - self.scene.ends) / SAMPLE_RATE
        fitting = times[(times >= -EARLY_S) & (times <= LATE_S)]
        return float(fitting[0]) if len(fitting) else None


def judge(scenes: Sequence[Heard], head: Head) -> list[Judged]:
    """Run a head over scenes."""
    return [Judged(scene, head.logits(scene.windows())) for scene in scenes]


def share(count: int, of: int) -> str:
    """Return a count with its share and interval."""
    low, high = interval(count, of)
    return f"{count} of {of} = {100 * count / max(1, of):.1f} % [{low:.0f}-{high:.0f}]"


def recall_table(words: Sequence[Judged], rules: Sequence[Rule]) -> list[str]:
    """Return rows of how many words each rule finds: by room, then by origin of the speech."""
    rows = []
    for title, key in (("room", "room"), ("speech", "origin")):
        rows += _head(title, rules)
        names = dict.fromkeys(getattr(each.scene, key) for each in words)
        for name in [*names, "all"]:
            some = [each for each in words if name in (getattr(each.scene, key), "all")]
            found = [sum(each.found(rule) is not None for each in some) for rule in rules]
            rows.append(_row(name, [share(count, len(some)) for count in found]))
        rows.append("")
    return rows


def negatives_table(scenes: Sequence[Judged], rules: Sequence[Rule]) -> list[str]:
    """Return rows of how many recordings wake the ear, by what they are."""
    rows = _head("recording, clean and in household noise at 15 dB", rules)
    kinds = dict.fromkeys((each.scene.kind, each.scene.origin) for each in scenes)
    for kind, origin in kinds:
        some = [s for s in scenes if (s.scene.kind, s.scene.origin) == (kind, origin)]
        woken = [sum(bool(each.detections(rule)) for each in some) for rule in rules]
        rows.append(_row(f"{kind}, {origin}", [share(count, len(some)) for count in woken]))
    return [*rows, ""]


def ordinary_table(scenes: Sequence[Judged], rules: Sequence[Rule]) -> list[str]:
    """Return rows of false accepts in ordinary sound, with the limit of which 95 % are sure."""
    rows = _head("ordinary sound", rules)
    origins = dict.fromkeys(each.scene.origin for each in scenes)
    for origin in [*origins, "all"]:
        some = [each for each in scenes if origin in (each.scene.origin, "all")]
        hours = sum(len(each.scene.scores) for each in some) * STEP_SAMPLES / SAMPLE_RATE / 3600
        counts = [sum(len(each.detections(rule)) for each in some) for rule in rules]
        rows.append(_row(f"{origin}, {hours:.1f} h", [str(count) for count in counts]))
    return [*rows, ""]


def delay_table(words: Sequence[Judged], rules: Sequence[Rule]) -> list[str]:
    """Return rows of how much later than the first rule the others decide."""
    rows = ["| later than today, of the words that both find | median | 95 % | most |"]
    rows.append("|---|---|---|---|")
    for rule in rules[1:]:
        pairs = [(each.found(rules[0]), each.found(rule)) for each in words]
        later = [new - old for old, new in pairs if old is not None and new is not None]
        places = np.percentile(later, [50, 95, 100]) * 1000 if later else [np.nan] * 3
        rows.append(_row(rule.name, [f"{place:.0f} ms" for place in places]))
    return [*rows, ""]


def points_table(
    words: Sequence[Judged],
    others: Sequence[Judged],
    ordinary: Sequence[Judged],
    rules: Sequence[Rule],
) -> list[str]:
    """Return one row for each rule: words of each origin found and lost, and false accepts."""
    origins = list(dict.fromkeys(each.scene.origin for each in words))
    kinds = list(dict.fromkeys((each.scene.kind, each.scene.origin) for each in others))
    names = [f"{origin} found (lost)" for origin in origins]
    rows = [_row("rule", [*names, *(f"{kind}, {origin}" for kind, origin in kinds), "ordinary"])]
    rows.append("|" + "---|" * (2 + len(origins) + len(kinds)))
    for rule in rules:
        gone, cells = lost(words, rules[0], rule), []
        for origin in origins:
            some = [each for each in words if each.scene.origin == origin]
            found = sum(each.found(rule) is not None for each in some)
            cells.append(f"{found} of {len(some)} ({gone.get(origin, 0)})")
        for kind in kinds:
            some = [each for each in others if (each.scene.kind, each.scene.origin) == kind]
            cells.append(f"{sum(bool(each.detections(rule)) for each in some)} of {len(some)}")
        cells.append(str(sum(len(each.detections(rule)) for each in ordinary)))
        rows.append(_row(rule.name, cells))
    return [*rows, ""]


def lost(words: Sequence[Judged], before: Rule, rule: Rule) -> dict[str, int]:
    """Return how many words of each origin ``before`` finds and ``rule`` does not."""
    gone = [
        each.scene.origin
        for each in words
        if each.found(before) is not None and each.found(rule) is None
    ]
    return {origin: gone.count(origin) for origin in dict.fromkeys(gone)}


def _head(title: str, rules: Sequence[Rule]) -> list[str]:
    return [_row(title, [rule.name for rule in rules]), "|" + "---|" * (1 + len(rules))]


def _row(name: str, cells: Sequence[str]) -> str:
    return f"| {' | '.join([name, *cells])} |"
