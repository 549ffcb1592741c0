"""Advice: what the measurements of a microphone mean, and which option to change. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from jarvis_ear.audio.quality import ChannelQuality, Hum
from jarvis_ear.control.report_text import CLIPPED_PERCENT
from jarvis_ear.units import Dbfs

SPEECH_SNR_DB: Final = 9.0
"""Distance from the noise from which the loud parts count as speech."""

GOOD_SNR_DB: Final = 20.0
"""Distance at which wake words are found as in a quiet room, see docs/benchmarks.md."""

QUIET_SPEECH: Final = Dbfs(-45.0)
"""Level of speech below which the speech gate misses parts of it."""

WANTED_SPEECH: Final = Dbfs(-26.0)
"""Level of speech that a gain aims at: the usual level of recordings, far from clipping."""

MOST_GAIN_DB: Final = 30
"""Largest value of hearing.heard.gain_db."""

BAD_OFFSET: Final = 0.01
"""Share of full scale from which an offset is a fault of the converter."""

AUDIBLE_HUM_DB: Final = -6.0
"""A hum this far above the noise floor, or further, is a part of it that can be removed."""

HIGH_PASS_HZ: Final = 100
"""Edge that removes the first line of the mains and an offset, and leaves voices alone."""

BETTER_DB: Final = 6.0
"""How much further from its noise another channel must be to be the better choice."""


@dataclass(frozen=True, slots=True)
class WakeScore:
    """What the detector of the ear says about the recording. A value."""

    best: float
    """Best score of a step after its second look, 0 ... 1."""
    threshold: float
    detected: int
    """How often the wake word was detected."""


@dataclass(frozen=True, slots=True)
class MicrophoneAdvice:
    """One finding about a microphone. A value."""

    code: str
    """Name of the finding for programs; docs/diagnosis.md lists them."""
    text: str
    option: str = ""
    """The option to change, as a line of the file; empty: none helps."""
    is_fault: bool = True
    """Whether something should be changed; False: for information."""


def advise(
    channels: Sequence[ChannelQuality],
    chosen: int | None,
    judged: ChannelQuality,
    *,
    lost: int = 0,
    wake: WakeScore | None = None,
) -> list[MicrophoneAdvice]:
    """Return the findings, the most important one first.

    ``judged`` is the channel that the ear hears, the index ``chosen`` or (None) the mean of all;
    ``lost``: samples that never arrived.
    """
    if judged.is_dead:
        return [_dead(channels, chosen)]
    return [
        *_channels(channels, chosen, judged),
        *_level(judged),
        *_faults(judged, lost),
        *_speech(judged, wake),
    ]


def _dead(channels: Sequence[ChannelQuality], chosen: int | None) -> MicrophoneAdvice:
    alive = [index for index, channel in enumerate(channels) if not channel.is_dead]
    if alive:
        text = f"channel {chosen} is dead; channel {alive[0]} has sound"
        return MicrophoneAdvice("dead_channel", text, f'microphone.channel = "{alive[0]}"')
    text = "the microphone gives no sound at all: look at its mute switch, its cable and its plug"
    return MicrophoneAdvice("no_sound", text)


def _channels(
    channels: Sequence[ChannelQuality], chosen: int | None, judged: ChannelQuality
) -> Iterator[MicrophoneAdvice]:
    dead = [str(index) for index, channel in enumerate(channels) if channel.is_dead]
    best = max(range(len(channels)), key=lambda index: channels[index].snr_db)
    option = f'microphone.channel = "{best}"'
    if dead and chosen is None:
        text = f"channel {', '.join(dead)} is dead, and the mean of all includes it"
        yield MicrophoneAdvice("dead_channel", text, option)
    elif dead:
        text = f"channel {', '.join(dead)} is dead; the ear does not use it"
        yield MicrophoneAdvice("dead_channel", text, is_fault=False)
    elif best != chosen and channels[best].snr_db >= judged.snr_db + BETTER_DB:
        text = f"channel {best} is {channels[best].snr_db - judged.snr_db:.0f} dB clearer"
        yield MicrophoneAdvice("better_channel", text, option)


def _level(judged: ChannelQuality) -> Iterator[MicrophoneAdvice]:
    percent = 100 * judged.clipped_share
    if percent >= CLIPPED_PERCENT:
        text = f"{percent:.1f} % of the samples are clipped: lower its gain (alsamixer)"
        yield MicrophoneAdvice("clipping", text)
    elif judged.snr_db >= SPEECH_SNR_DB and judged.loud < QUIET_SPEECH:
        gain = min(MOST_GAIN_DB, round(WANTED_SPEECH - judged.loud))
        text = f"speech is quiet ({judged.loud:.0f} dBFS): raise its gain (alsamixer), or"
        yield MicrophoneAdvice("quiet", text, f"hearing.heard.gain_db = {gain}")


def _faults(judged: ChannelQuality, lost: int) -> Iterator[MicrophoneAdvice]:
    high_pass = f"hearing.heard.high_pass_hz = {HIGH_PASS_HZ}"
    if abs(judged.offset) >= BAD_OFFSET:
        text = f"the samples are off centre by {100 * judged.offset:.1f} %"
        yield MicrophoneAdvice("offset", text, high_pass)
    if judged.hum is not None and judged.hum.level >= judged.noise_floor + AUDIBLE_HUM_DB:
        yield MicrophoneAdvice("hum", _hum_text(judged.hum), high_pass)
    if judged.dropouts or lost:
        text = "sound is missing"
        text += f", {judged.dropouts} times in the middle of sound" if judged.dropouts else ""
        text += f", {lost} samples by the clock" if lost else ""
        text += ": try another USB socket, without a hub, and let the machine do less; or"
        yield MicrophoneAdvice("dropouts", text, "microphone.latency_ms = 2000")


def _hum_text(hum: Hum) -> str:
    lines = ", ".join(map(str, hum.lines_hz))
    return (
        f"the mains hum at {hum.mains_hz} Hz ({hum.level:.0f} dBFS; {lines} Hz): another power "
        "supply, or a cable that is away from it; a filter removes the lowest line"
    )


def _speech(judged: ChannelQuality, wake: WakeScore | None) -> Iterator[MicrophoneAdvice]:
    if judged.snr_db < SPEECH_SNR_DB:
        text = "no speech, or the room is as loud: say the wake word during the check"
        yield MicrophoneAdvice("no_speech", text, is_fault=False)
        return
    if judged.snr_db < GOOD_SNR_DB:
        text = f"speech is only {judged.snr_db:.0f} dB above the noise: go nearer, or move the "
        yield MicrophoneAdvice("noisy", f"{text}microphone away from fans and loudspeakers")
    if wake is None:
        return
    if wake.detected:
        text = f"the wake word was heard (score {wake.best:.2f}, threshold {wake.threshold:g})"
        yield MicrophoneAdvice("wake_word", text, is_fault=False)
    else:
        text = f"no wake word: the best score is {wake.best:.2f}, the threshold {wake.threshold:g}"
        text += "; if you said it, speak nearer, or"
        yield MicrophoneAdvice(
            "no_wake_word", text, 'hearing.wake.strictness = "eager"', is_fault=False
        )


def verdict(advice: Sequence[MicrophoneAdvice]) -> str:
    """Return the verdict in one line."""
    codes = [each.code for each in advice]
    faults = [each for each in advice if each.is_fault]
    if "no_sound" in codes:
        return "This microphone does not work."
    if faults:
        return "This microphone can be improved: see above."
    if "no_speech" in codes:
        return "This microphone works; whether it hears you, it cannot tell without speech."
    return "This microphone is good."
