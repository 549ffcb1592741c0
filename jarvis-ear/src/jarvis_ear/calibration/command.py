"""``jarvis-ear calibrate``: measures, recommends, and writes options after asking."""

import json
import logging
import re
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any, Final

from jarvis_ear import config
from jarvis_ear.calibration import session
from jarvis_ear.calibration.analysis import CalibrationResult, Recommendation, analysed
from jarvis_ear.calibration.comparison import (
    MicrophoneTrial,
    best_of,
    candidates,
    compare,
    comparison_lines,
    device_change,
)
from jarvis_ear.calibration.loudspeaker import lag_ms
from jarvis_ear.calibration.options_file import offer, say
from jarvis_ear.calibration.words import word_spans
from jarvis_ear.devices import portaudio_process
from jarvis_ear.devices.diagnose import SoundCards
from jarvis_ear.devices.sample_clock import SampleClock
from jarvis_ear.devices.selection import look_up, stable_name
from jarvis_ear.devices.sources import make_source
from jarvis_ear.errors import DeviceError, InputError, MicrophoneBusy
from jarvis_ear.options.edit import written
from jarvis_ear.options.verbs import UsageError, print_text, quoted
from jarvis_ear.replay.command import miss_cost
from jarvis_ear.replay.rates import hourly, percent
from jarvis_ear.replay.recordings import LabelledSound, named, of_file
from jarvis_ear.replay.replayer import Replayer
from jarvis_ear.units import SAMPLE_RATE, seconds

SCHEMA: Final = 1
"""``format`` of the JSON output; it changes if a name changes or goes."""

WORDS: Final = "10"
MINUTES: Final = "5"

_STOP_IT: Final = "stop the running ear first (systemctl stop jarvis-ear)"


def calibrate(given: Mapping[str, Any], options: config.Config, file: Path) -> int:
    """Carry out the verb and return the exit status. ``file``: that of the options."""
    cost = miss_cost(given)
    count = int(_number(given, "words", WORDS, 2, 100))
    minutes = _number(given, "minutes", MINUTES, 0, 24 * 60)
    replayer = Replayer(options.hearing)
    if "compare" in given:
        return _compare_only(given, options, file, replayer)
    tried: list[MicrophoneTrial] = []
    lag: session.Lag | str = "it was not measured: recordings were given"
    changes: list[Recommendation] = []
    if {"near", "far", "room"} & given.keys():
        words, room = _from_files(given, replayer, options.hearing)
    else:
        if not (options.microphone.device or options.microphone.input):
            tried = _compared(options, replayer)
        heard = _with_best(options, tried)
        words, room, lag = _from_microphone(replayer, heard, count, minutes)
        changes += device_change(tried, "") if tried else _device(options.microphone)
    findings = analysed(replayer, words, room, options.hearing, cost)
    changes += findings.changes
    if isinstance(lag, session.Lag):
        changes += _lag_changes(lag, options.speaker)
    findings.changes = changes
    if "json" in given:
        microphones = [trial.as_json() for trial in tried]
        found = {**listing(findings, lag, file), "microphones": microphones}
        print_text(json.dumps(found) + "\n")
    else:
        rows = [*comparison_lines(tried), ""] if tried else []
        print_text("\n".join([*rows, *_lines(findings, lag, cost)]) + "\n")
    return _offered(changes, file, given)


def listing(findings: CalibrationResult, lag: session.Lag | str, file: Path) -> dict[str, Any]:
    """Return what `calibrate --json` prints of the recordings and the loudspeaker."""
    found = {"why": lag} if isinstance(lag, str) else _lag_ms(lag)
    return {"format": SCHEMA, **findings.as_json(), "loudspeaker": found, "file": str(file)}


def _offered(changes: list[Recommendation], file: Path, given: Mapping[str, Any]) -> int:
    if not changes:
        return 0
    return offer(changes, file, is_agreed="yes" in given, is_quiet="json" in given)


def _compare_only(
    given: Mapping[str, Any], options: config.Config, file: Path, replayer: Replayer
) -> int:
    """Compare the microphones, and measure nothing else."""
    if {"near", "far", "room"} & given.keys() or options.microphone.input:
        raise UsageError("calibrate: --compare: expected microphones, not recordings")
    tried = _compared(options, replayer)
    changes = list(device_change(tried, options.microphone.device)) if tried else []
    if "json" in given:
        found = {
            "format": SCHEMA,
            "microphones": [trial.as_json() for trial in tried],
            "changes": [change._asdict() for change in changes],
            "file": str(file),
        }
        print_text(json.dumps(found) + "\n")
    elif tried:
        print_text("\n".join([*comparison_lines(tried), *_change_lines(changes)]) + "\n")
    return _offered(changes, file, given)


def _compared(options: config.Config, replayer: Replayer) -> list[MicrophoneTrial]:
    """Compare the microphones; empty if there is nothing to compare."""
    found = candidates(portaudio_process.for_input(), SoundCards())
    if len(found) < 2:  # noqa: PLR2004 - a comparison
        none = "no microphone with a stable name (jarvis-ear devices)"
        only = f"one microphone, {found[0].name}" if found else none
        say(f"There is {only}: nothing to compare.")
        return []
    try:
        with _quiet_log():
            return compare(found, options, replayer, say, make_source)
    except MicrophoneBusy as error:
        raise DeviceError(f"{error}; {_STOP_IT}") from error


def _with_best(options: config.Config, tried: list[MicrophoneTrial]) -> config.Config:
    """Return the options with the best microphone, for the measurements that follow."""
    if not tried or not best_of(tried).heard:
        return options
    chosen = options.microphone.model_copy(update={"device": best_of(tried).device})
    return options.model_copy(update={"microphone": chosen})


def _number(given: Mapping[str, Any], name: str, default: str, least: float, most: float) -> float:
    text = given.get(name, default)
    if not re.fullmatch(r"\d{1,4}(\.\d{1,3})?", text) or not least <= float(text) <= most:
        raise UsageError(
            f"calibrate: --{name}: {quoted(text)}: expected a number from {least:g} to {most:g}"
        )
    return float(text)


def _from_files(
    given: Mapping[str, Any], replayer: Replayer, hearing: config.HearingOptions
) -> tuple[list[LabelledSound], LabelledSound | None]:
    """Return the recordings that are given; in those of words, each stretch of speech is one."""
    words = []
    for name in ("near", "far"):
        if name in given:
            recording = of_file(given[name], {})
            spans = word_spans(replayer.hear(recording, hearing).frames)
            if not spans:
                raise InputError(f"{named(given[name])} holds no speech: expected wake words")
            words.append(replace(recording, words=spans))
    return words, of_file(given["room"], {}) if "room" in given else None


def _from_microphone(
    replayer: Replayer, options: config.Config, count: int, minutes: float
) -> tuple[list[LabelledSound], LabelledSound | None, session.Lag | str]:
    """Guide a person through the recordings."""
    hearing, clock = options.hearing, SampleClock()
    word = " or ".join(each.name for each in hearing.wake.all_words)

    def judge(part: bytes) -> str:
        trace = replayer.hear(session.recording_of("word", part, has_word=True), hearing)
        loudest = max((frame.level for frame in trace.frames), default=-120.0)
        is_heard = any(event.event == "wake" for event in trace.events)
        found = "heard" if is_heard else "missed"
        return f"{found}, best score {trace.best_score:.2f}, loudest {loudest:.0f} dBFS"

    near, far = count - count // 2, count // 2
    with closing(make_source(options.microphone)) as source, _quiet_log():
        try:
            source.open()
            recorder = session.Recorder(source, clock)
            say(f"Calibration with {source.name}. Nothing is stored; Ctrl-C ends it.")
            say(f'Near: stand a metre away. At each "now", say "{word}" once.')
            parts = session.record_words(recorder, near, session.WORD, say, judge)
            say("Far: stand where you usually are, or three metres away. Say it with a command in")
            say(f'your own way, such as "{word}, turn on the light in the kitchen".')
            parts += session.record_words(recorder, far, session.COMMAND, say, judge)
            words = [session.recording_of("word", part, has_word=True) for part in parts]
            lag: session.Lag | str = "it was not measured: the sound comes from a file"
            if source.live:
                say("The loudspeaker plays three short tones.")
                lag = session.measure_lag(recorder, clock, options.speaker)
            room = None
            if minutes:
                say("Room: live as usual, with the television if there is one. Do not say the")
                say("wake word.")
                sound = session.record_room(recorder, round(minutes * 60 * SAMPLE_RATE), say)
                room = session.recording_of("room", sound, has_word=False)
        except MicrophoneBusy as error:
            raise DeviceError(f"{error}; {_STOP_IT}") from error
    return words, room, lag


@contextmanager
def _quiet_log() -> Iterator[None]:
    """Hide the warnings of the microphone: sound between two words may be lost."""
    logger = logging.getLogger("jarvis_ear")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)


def _device(options: config.MicrophoneOptions) -> Iterator[Recommendation]:
    """Recommend the stable name of the default microphone."""
    if options.device or options.input:
        return
    try:
        name = stable_name(look_up(portaudio_process.for_input(), "", "input"), SoundCards())
    except DeviceError:
        return
    if name:
        yield Recommendation("microphone.device", "", name, "the default may become another one")


def _lag_changes(lag: session.Lag, options: config.SpeakerOptions) -> Iterator[Recommendation]:
    wanted = lag_ms(lag.delay, lag.tail)
    if wanted != options.lag_ms:
        why = "the loudspeaker is late, or its sound lasts in the room"
        yield Recommendation("speaker.lag_ms", options.lag_ms, wanted, why)


def _lag_ms(lag: session.Lag) -> dict[str, int]:
    delay, tail = (round(1000 * seconds(each)) for each in (lag.delay, lag.tail))
    return {"delay_ms": delay, "tail_ms": tail, "chirps": lag.chirps}


def _lines(findings: CalibrationResult, lag: session.Lag | str, cost: float) -> Iterator[str]:
    swept = findings.sweep
    words = f"{swept.words} wake word{'s' * (swept.words != 1)}"
    yield f"heard: {words}, {60 * swept.hours:.1f} minutes of the room"
    if findings.word_levels:
        level = median(findings.word_levels)
        noise = "" if findings.noise_dbfs is None else f", the room {findings.noise_dbfs:.0f} dBFS"
        yield f"level: the words {level:.0f} dBFS{noise}; clipped: {100 * findings.clipped:.2f} %"
    if isinstance(lag, session.Lag):
        found = _lag_ms(lag)
        late, tail = found["delay_ms"], found["tail_ms"]
        yield f"loudspeaker: {late} ms later than it reports, and {tail} ms of echo"
    else:
        yield f"loudspeaker: {lag}"
    yield ""
    yield "expected (95 % interval)  words missed         false accepts per hour"
    for name, point in (
        ("with present options", findings.present),
        ("with the best", findings.best),
    ):
        yield f"  {name:<23} {percent(point.missed):<20} {hourly(point.accepts)}"
    yield f"(a missed word costs as much as {cost:g} false accepts, see --miss-cost)"
    yield from ("", *(f"advice: {line}" for line in findings.advice)) if findings.advice else ()
    yield ""
    if not findings.changes:
        yield "The present options are the best ones."
        return
    yield from _change_lines(findings.changes)


def _change_lines(changes: list[Recommendation]) -> Iterator[str]:
    if changes:
        yield "recommended:"
    for key, old, new, why in changes:
        yield f"- {key} = {written(old)}"
        yield f"+ {key} = {written(new):<12} # {why}"
