"""Comparison: the same words through each microphone, and which one hears them best."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from statistics import mean
from typing import Any, Final, NamedTuple

import numpy as np

from jarvis_ear import config
from jarvis_ear.audio.quality import measure
from jarvis_ear.calibration import session
from jarvis_ear.calibration.analysis import Recommendation
from jarvis_ear.devices.diagnose import SoundCards
from jarvis_ear.devices.sample_clock import SampleClock
from jarvis_ear.devices.selection import stable_name
from jarvis_ear.devices.sound_library import SoundLibrary
from jarvis_ear.devices.sources import Source
from jarvis_ear.errors import DeviceError, MicrophoneBusy
from jarvis_ear.replay.replayer import Replayer
from jarvis_ear.units import SAMPLE_RATE

PHRASES: Final = 2
"""Wake words for each microphone: one may be said badly; more would tire the person."""


class MicrophoneTrial(NamedTuple):
    """What one microphone made of the wake words. A value."""

    device: str
    """Stable name, as in ``microphone.device``."""
    name: str
    """Name that the sound system shows."""
    words: int = 0
    """Wake words that were said."""
    heard: int = 0
    """How many of them were detected."""
    score: float = 0.0
    """Mean of the best score of each word, 0 ... 1."""
    snr_db: float = 0.0
    """Distance between the loud parts and the noise floor, in dB; see ``audio.quality``."""
    problem: str = ""
    """Why it could not be tried; empty: it was."""

    @property
    def rank(self) -> tuple[int, float, float]:
        """The larger, the better: words that were heard, then the SNR, then the score."""
        return self.heard, round(self.snr_db), self.score

    def as_json(self) -> dict[str, Any]:
        """Return the trial as JSON; the names are stable."""
        numbers = {"score": round(self.score, 3), "snr_db": round(self.snr_db, 1)}
        return {**self._asdict(), **numbers}


def candidates(library: SoundLibrary, cards: SoundCards) -> list[MicrophoneTrial]:
    """Return the microphones that have a stable name, not tried yet. Raises DeviceError.

    ALSA's plug-ins and sound servers have none: they lead to one of these.
    """
    found: dict[str, MicrophoneTrial] = {}
    for device in library.devices():
        is_microphone = device.inputs > 0 and not device.monitor
        if is_microphone and (name := stable_name(device, cards)):
            found.setdefault(name, MicrophoneTrial(name, device.name))
    return list(found.values())


def compare(
    found: Sequence[MicrophoneTrial],
    options: config.Config,
    replayer: Replayer,
    say: Callable[[str], None],
    make: Callable[[config.MicrophoneOptions], Source],
) -> list[MicrophoneTrial]:
    """Record the wake words with one microphone after another, and judge each.

    Raises ``DeviceError`` if another program holds one, or if none can be used.
    """
    word = " or ".join(each.name for each in options.hearing.wake.all_words)
    say(f"There are {len(found)} microphones: speak from the same place, equally loud, to each.")
    tried = []
    for number, trial in enumerate(found, start=1):
        say(f'Microphone {number} of {len(found)}, {trial.name}: at each "now", say "{word}" once.')
        chosen = {"device": trial.device, "fallback": ""}
        with closing(make(options.microphone.model_copy(update=chosen))) as source:
            try:
                source.open()
                recorder = session.Recorder(source, SampleClock())
                parts = [_record(recorder, place, say) for place in range(1, PHRASES + 1)]
            except MicrophoneBusy:
                raise
            except DeviceError as error:
                tried.append(trial._replace(problem=str(error)))
            else:
                tried.append(_judged(trial, parts, replayer, options.hearing))
        say(f"            {_outcome(tried[-1])}")
    if all(trial.problem for trial in tried):
        raise DeviceError(f"no microphone can be used: {tried[0].problem}")
    return tried


def best_of(tried: Sequence[MicrophoneTrial]) -> MicrophoneTrial:
    """Return the best microphone; of equal ones the first."""
    return max((trial for trial in tried if not trial.problem), key=lambda trial: trial.rank)


def device_change(tried: Sequence[MicrophoneTrial], present: str) -> Iterator[Recommendation]:
    """Recommend the best microphone if it heard a word and is not chosen already."""
    best = best_of(tried)
    if best.heard and best.device != present:
        why = f"the best of {len(tried)} microphones: {_outcome(best)}"
        yield Recommendation("microphone.device", present, best.device, why)


def comparison_lines(tried: Sequence[MicrophoneTrial]) -> Iterator[str]:
    """Return the comparison for people."""
    best = best_of(tried)
    for trial in tried:
        mark = "*" if trial is best and best.heard else " "
        yield f"{mark} {trial.device:<24} {_outcome(trial)}"
    if not best.heard:
        yield "No microphone heard the wake word: none is recommended."


def _record(recorder: session.Recorder, place: int, say: Callable[[str], None]) -> bytes:
    say(f"  {place:>2} of {PHRASES}: now")
    return recorder.record(session.WORD)


def _judged(
    trial: MicrophoneTrial,
    parts: Sequence[bytes],
    replayer: Replayer,
    hearing: config.HearingOptions,
) -> MicrophoneTrial:
    found = [
        replayer.hear(session.recording_of("word", part, has_word=True), hearing) for part in parts
    ]
    heard = sum(any(event.event == "wake" for event in trace.events) for trace in found)
    quality = measure(np.frombuffer(b"".join(parts), "<i2"), SAMPLE_RATE)
    score = mean(trace.best_score for trace in found)
    return trial._replace(words=len(parts), heard=heard, score=score, snr_db=quality.snr_db)


def _outcome(trial: MicrophoneTrial) -> str:
    if trial.problem:
        return f"not tried: {trial.problem}"
    words = f"{trial.heard} of {trial.words} words heard, score {trial.score:.2f}"
    return f"{words}, {trial.snr_db:.0f} dB above the noise"
