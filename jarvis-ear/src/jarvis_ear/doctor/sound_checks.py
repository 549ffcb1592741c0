"""Sound checks: sound card, microphone, a second of its sound, loudspeaker and models."""

import hashlib
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from jarvis_ear.audio.level import level
from jarvis_ear.config import SHIPPED_WORDS, Config, MicrophoneOptions, SpeakerOptions, WakeOptions
from jarvis_ear.devices import portaudio_process
from jarvis_ear.devices.diagnose import SND, SoundCards, diagnose
from jarvis_ear.devices.microphone import Microphone
from jarvis_ear.devices.models import KNOWN_SPEECH_MODEL
from jarvis_ear.devices.openwakeword import shipped_model
from jarvis_ear.devices.output import NONE
from jarvis_ear.devices.selection import busy, find, look_up, names_a_number, stable_name
from jarvis_ear.devices.sound_faults import DEAD_LINE_SPAN, TOO_MUCH
from jarvis_ear.devices.sound_library import Device, SoundLibrary
from jarvis_ear.devices.wake_head import WakeHead
from jarvis_ear.doctor.checks import Results, attempt, fail, ok, skip, skipped, warn
from jarvis_ear.errors import ConfigError, DeviceError
from jarvis_ear.units import SAMPLE_BYTES, SAMPLE_RATE

OPEN_S: Final = 12.0
"""Time-out of a look at the devices: the sound process has its own, shorter ones."""

LISTEN_S: Final = 12.0
"""Time-out of a second of sound, with the time to open the device."""

SOUND_S: Final = 1.0
"""Seconds of sound that are measured."""

QUIETEST_DBFS: Final = -80.0
"""A second below this is quieter than the self-noise of any microphone with a useful gain."""

PERCENT_CLIPPED: Final = 100 * TOO_MUCH
"""Clipped samples in per cent from which the running ear warns as well."""

_LIST: Final = "jarvis-ear devices lists all; choose one with microphone.device"

KNOWN_MODELS: Final[Mapping[str, str]] = {
    "melspectrogram.onnx": "ba2b0e0f8b7b875369a2c89cb13360ff53bac436f2895cced9f479fa65eb176f",
    "embedding_model.onnx": "ba754db3cd768a524c655ea90655ee5e6055a43b8dfd29366a11e93716ae9e51",
    "hey_jarvis_v0.1.onnx": "94a13cfe60075b132f6a472e7e462e8123ee70861bc3fb58434a73712ee0d2cb",
    "silero_vad.onnx": KNOWN_SPEECH_MODEL,
}
"""SHA-256 of the files in openwakeword 0.4.0 that the ear uses."""


@dataclass(frozen=True, slots=True)
class CardFacts:
    """What the kernel shows. A value."""

    cards: tuple[str, ...] = ()
    """Ids of the sound cards."""
    files: tuple[str, ...] = ()
    """Device files of the cards."""
    closed: tuple[str, ...] = ()
    """Those that this user may not use."""
    is_member: bool = False
    """Whether this process is in the group ``audio``, or runs as root."""


def card_facts(cards: SoundCards, snd: Path = SND) -> CardFacts:
    """Look at the kernel's list of cards and at their device files."""
    files = sorted(snd.glob("pcm*")) if snd.is_dir() else []
    return CardFacts(
        tuple(card.id for card in cards.all()),
        tuple(file.name for file in files),
        tuple(file.name for file in files if not os.access(file, os.R_OK | os.W_OK)),
        not os.geteuid() or any(file.stat().st_gid in os.getgroups() for file in files),
    )


def judge_cards(facts: CardFacts, *, ear_runs: bool) -> Results:
    """Judge what the kernel shows. A sound server needs no card of this machine."""
    if not facts.files:
        text = "the kernel shows none (no pcm devices in /dev/snd); a sound server may have one"
        return [skipped("sound card", text)]
    if not facts.closed:
        return [ok("sound card", f"{', '.join(facts.cards)}; this user may use it")]
    text = f"this user may not use {', '.join(facts.closed)}"
    if ear_runs:
        return [skipped("sound card", f"{text}; the running ear has its own rights")]
    fix = "sudo usermod -aG audio $USER, and log in again"
    if facts.is_member:
        fix = "this user is in the group of the device; look at its mode: ls -l /dev/snd"
    return [fail("sound card", text, fix, 77)]


@dataclass(frozen=True, slots=True)
class MicrophoneFacts:
    """The microphone that the configuration means. A value."""

    device: Device | None = None
    problem: str = ""
    """Why there is none."""
    remedy: str = ""
    """What to do about it."""
    holders: str = ""
    """Programs that record from it."""
    stable: str = ""
    """Its name that does not depend on the order of plugging; empty if unknown."""


def microphone_facts(wanted: str, library: SoundLibrary, cards: SoundCards) -> MicrophoneFacts:
    """Look up the microphone. Opens nothing."""
    holders, devices = busy(wanted, cards), tuple[Device, ...]()
    try:
        devices = library.devices()
        device = find(devices, wanted, "input", library.default("input"), cards)
    except DeviceError as error:
        exists = any(each.inputs for each in devices)
        remedy = _LIST if exists else diagnose(cards)[1]
        return MicrophoneFacts(problem=str(error), remedy=remedy, holders=holders)
    return MicrophoneFacts(device, holders=holders, stable=stable_name(device, cards))


def judge_microphone(facts: MicrophoneFacts, wanted: str) -> Results:
    """Judge the microphone that is looked up."""
    device = facts.device
    if facts.holders:
        fix = "stop that program, or use a sound server (pulse, pipewire) as the device for both"
        return [fail("microphone", facts.holders, fix, 69)]
    if device is None:
        return [fail("microphone", facts.problem, facts.remedy, 69)]
    if device.monitor:
        text = f"{device.name} is the monitor of a loudspeaker, no microphone"
        return [fail("microphone", text, _LIST, 69)]
    rate = "" if device.rate == SAMPLE_RATE else f", converted to {SAMPLE_RATE} Hz"
    text = f"{device.name} ({device.host_api}, {device.rate} Hz{rate})"
    if wanted and names_a_number(wanted):
        fix = f'microphone.device = "{facts.stable or "hw:CARD=..."}": its number may change'
        return [warn("microphone", text, fix)]
    return [ok("microphone", text)]


@dataclass(frozen=True, slots=True)
class SoundFacts:
    """A second of sound. A value."""

    seconds: float = 0.0
    rms_dbfs: float = -120.0
    peak_dbfs: float = -120.0
    least: int = 0
    most: int = 0
    """Least and largest sample."""
    clipped_percent: float = 0.0
    problem: str = ""
    """Why there is no sound; empty: there is."""


def sound_facts(
    microphone: Microphone,
    seconds: float = SOUND_S,
    monotonic: Callable[[], float] = time.monotonic,
) -> SoundFacts:
    """Record a second, and close the device. The sound is forgotten."""
    pcm, ends = b"", monotonic() + LISTEN_S / 2
    try:
        with closing(microphone):
            microphone.open()
            while len(pcm) < seconds * SAMPLE_RATE * SAMPLE_BYTES and monotonic() < ends:
                block = microphone.read()
                pcm += b"" if block is None else block.data
    except DeviceError as error:
        return SoundFacts(problem=str(error))
    if not pcm:
        return SoundFacts(problem="no sample arrived")
    values, measured = np.frombuffer(pcm, "<i2"), level(pcm)
    return SoundFacts(
        len(values) / SAMPLE_RATE,
        measured.rms,
        measured.peak,
        int(values.min()),
        int(values.max()),
        100 * measured.clipped / len(values),
    )


def judge_sound(facts: SoundFacts) -> Results:
    """Judge a second of sound."""
    if facts.problem:
        return [fail("sound", facts.problem, f"check the plug; {_LIST}", 69)]
    if facts.most - facts.least <= DEAD_LINE_SPAN:
        what = "zeros" if facts.least == facts.most == 0 else "one value and its noise"
        fix = 'its mute switch, its cable, or another channel (microphone.channel = 1, or "mix")'
        return [fail("sound", f"the microphone gives only {what}", fix, 69)]
    text = f"{facts.rms_dbfs:.0f} dBFS, peak {facts.peak_dbfs:.0f}, in {facts.seconds:.1f} s"
    if facts.clipped_percent >= PERCENT_CLIPPED:
        fix = "lower the gain of the microphone: alsamixer, or that of the sound server"
        return [warn("sound", f"{text}: {facts.clipped_percent:.1f} % is clipped", fix)]
    if facts.rms_dbfs < QUIETEST_DBFS:
        fix = "raise its gain (alsamixer), or hearing.heard.gain_db; try jarvis-ear mic-check"
        return [warn("sound", f"{text}: very quiet", fix)]
    return [ok("sound", text)]


def judge_report(report: Mapping[str, Any]) -> Results:
    """Judge microphone and sound by the report of a running ear, which holds the device."""
    source = str(report.get("source", ""))
    if not source.startswith("microphone "):
        source = "a sound file"  # its name may be private
    if report.get("muted_by"):
        text = f"closed: the ear is muted by the {', '.join(report['muted_by'])}"
        return [skipped("microphone", text), skipped("sound", "the microphone is closed")]
    if not report["hearing"]:
        reason = report.get("deaf_reason") or f"no sound from {source}"
        fix = report.get("deaf_remedy") or f"check the plug; {_LIST}"
        return [fail("microphone", reason, fix, 69), skipped("sound", "the ear is deaf")]
    held = ok("microphone", f"the running ear holds it: {source}")
    if report.get("hears_own_speaker"):
        text = f"{source} is the monitor of a loudspeaker, no microphone"
        held = fail("microphone", text, _LIST, 69)
    text = f"{report.get('level_dbfs')} dBFS, noise floor {report.get('noise_floor_dbfs')}"
    clipped = report.get("clipped_percent") or 0
    if clipped >= PERCENT_CLIPPED:
        fix = "lower the gain of the microphone: alsamixer, or that of the sound server"
        return [held, warn("sound", f"{text}: {clipped:g} % is clipped", fix)]
    return [held, ok("sound", f"{text}, as the ear measures it")]


def judge_loudspeaker(
    options: SpeakerOptions, problem: str, report: Mapping[str, Any] | None
) -> Results:
    """Judge the loudspeaker; ``problem``: why none is found. Nothing is played."""
    if options.output_dir is not None:
        return [skipped("loudspeaker", "replies go to files (speaker.output_dir)")]
    if options.device == NONE:
        return [skipped("loudspeaker", "speaker.device is none")]
    told = str((report or {}).get("speaker", ""))
    problem = told if told not in ("", "fine") else problem
    if problem:
        fix = "jarvis-ear devices lists all; speaker.device chooses one, or none"
        return [warn("loudspeaker", f"replies are not heard: {problem}", fix)]
    return [ok("loudspeaker", "found" if report is None else "the running ear can use it")]


def model_facts() -> Mapping[str, str]:
    """Return what is wrong with each file of the models; empty: nothing."""
    wrong: dict[str, str] = {}
    for name, known in KNOWN_MODELS.items():
        try:
            found = hashlib.sha256(shipped_model(name).read_bytes()).hexdigest()
        except ConfigError as error:
            wrong[name] = str(error)
        except OSError as error:
            wrong[name] = f"it cannot be read: {error.strerror}"
        else:
            wrong[name] = "" if found == known else "it is not the file of openwakeword 0.4.0"
    try:
        WakeHead()
    except ConfigError as error:
        wrong["wake head"] = str(error)
    return wrong


def judge_models(wrong: Mapping[str, str], wake: WakeOptions | None) -> Results:
    """Judge the files of the models."""
    fix = "install it again: its files are incomplete or changed"
    bad = [f"{name}: {why}" for name, why in wrong.items() if why]
    if bad:
        return [fail("models", line, fix, 78) for line in bad]
    words = () if wake is None else wake.all_words
    own = any(word.model not in SHIPPED_WORDS for word in words)
    more = "; a wake word is a model of your own" if own else ""
    return [ok("models", f"{len(wrong)} files and the wake head are intact{more}")]


def sound_results(
    config: Config | None, report: Mapping[str, Any] | None, *, is_held: bool, muted: bool
) -> Iterator[Results]:
    """Yield the results of each check. Without ``config``, it has a mistake.

    ``report`` is that of a running ear, whose devices are not touched; ``is_held``: nor are they if
    an ear runs that does not report. A microphone whose owner
    ``muted`` the ear is not opened.
    """
    cards = SoundCards()
    wake = None if config is None else config.hearing.wake
    yield attempt("sound card", OPEN_S, lambda: judge_cards(card_facts(cards), ear_runs=is_held))
    yield attempt(
        "models",
        OPEN_S,
        lambda: judge_models(model_facts(), wake),
    )
    if config is None:
        return
    if report is not None:
        yield attempt("microphone", OPEN_S, lambda: judge_report(report))
    elif is_held:
        why = "the running ear does not tell about its devices"
        yield skip(("microphone", "sound", "loudspeaker"), why)
        return
    elif config.microphone.input:
        yield skip(("microphone", "sound"), "microphone.input names a file")
    else:
        yield from _microphone(config.microphone, cards, muted=muted)
    yield attempt("loudspeaker", OPEN_S, lambda: _loudspeaker(config.speaker, report, cards))


def _microphone(options: MicrophoneOptions, cards: SoundCards, *, muted: bool) -> Iterator[Results]:
    def look() -> Results:
        facts = microphone_facts(options.device, portaudio_process.for_input(), cards)
        return judge_microphone(facts, options.device)

    found = attempt("microphone", OPEN_S, look)
    yield found
    if any(result.exit_status for result in found):
        yield [skipped("sound", "there is no microphone")]
    elif muted:
        yield [skipped("sound", "the ear is muted: the microphone is not opened")]
    else:
        yield attempt("sound", LISTEN_S, lambda: judge_sound(sound_facts(Microphone(options))))


def _loudspeaker(
    options: SpeakerOptions, report: Mapping[str, Any] | None, cards: SoundCards
) -> Results:
    problem = ""
    if report is None and options.device != NONE and options.output_dir is None:
        try:
            look_up(portaudio_process.for_output(), options.device, "output", cards)
        except DeviceError as error:
            problem = str(error)
    return judge_loudspeaker(options, problem, report)
