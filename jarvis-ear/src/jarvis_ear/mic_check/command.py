"""Command: the verb `mic-check`, which records, measures, and says what to change."""

import json
import os
import socket
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, Final

from jarvis_ear import paths
from jarvis_ear.audio.level import level
from jarvis_ear.audio.quality import ChannelQuality, levels_quality, measure
from jarvis_ear.audio.wav import pcm_to_wav
from jarvis_ear.config import Config
from jarvis_ear.control.client import ASK_S, ask, require_report
from jarvis_ear.control.feed import MAX_LINE, Snapshot, decode
from jarvis_ear.control.unix_socket import connect
from jarvis_ear.devices import portaudio_process
from jarvis_ear.errors import JarvisEarError, MicrophoneUnavailable
from jarvis_ear.mic_check import recording as sources
from jarvis_ear.mic_check.advice import MicrophoneAdvice, WakeScore, advise, verdict
from jarvis_ear.mic_check.meter import Meter
from jarvis_ear.options.verbs import UsageError, print_text
from jarvis_ear.wake_ledger.command import play_here

SCHEMA: Final = 1
"""Version of the JSON: a field that goes or changes its meaning raises it, a new one does not."""

SECONDS: Final = 10
"""Usual length of a check."""

MOST_SECONDS: Final = 120

FAULTY: Final = 1
"""Exit status: something should be changed."""

PLAY_S: Final = 20
"""Seconds that are played back at most."""

_HELD: Final = (
    "The running ear holds the microphone: these are its own measurements. Hum, offset and single "
    "channels need the device: systemctl stop jarvis-ear, then jarvis-ear mic-check again."
)


def mic_check(config: Config, given: Mapping[str, Any]) -> int:
    """Check a file or the microphone; return the exit status.

    ``given``: options of the verb, by name. Raises ``JarvisEarError`` or ``UsageError``.
    """
    seconds, as_json = _seconds(str(given.get("seconds", SECONDS))), "json" in given
    out = sys.stderr if as_json else sys.stdout
    file = given.get("value") or config.microphone.input
    if file:
        recording = sources.read_file(Path(file).expanduser(), config.microphone.channel)
        return _judge(config, recording, _heard(config, recording), given)
    report = running_report()
    if report is not None:
        return _judge_ear(config, report, Meter(out, seconds), seconds, as_json=as_json)
    library = portaudio_process.for_input()
    live = sources.LiveRecording(config.microphone, library)
    if not as_json:
        print_text(f"{live.recording.source}: say the wake word, then be silent for a while.\n")
    listener = sources.WakeListener(config.hearing, live.recording.rate)
    meter, count = Meter(out, seconds), 0
    for piece in live.pieces(seconds):
        mono = sources.chosen(piece, config.microphone.channel)
        count += len(mono)
        meter.show(count / live.recording.rate, level(mono.tobytes()).rms, listener.hear(mono))
    meter.close()
    return _judge(config, live.recording, listener.finish(), given)


def _seconds(text: str) -> int:
    if not (text.isdecimal() and 1 <= int(text[:9]) <= MOST_SECONDS):
        raise UsageError(f"mic-check: --seconds: expected a whole number from 1 to {MOST_SECONDS}")
    return int(text)


def _heard(config: Config, recording: sources.Recording) -> WakeScore:
    listener = sources.WakeListener(config.hearing, recording.rate)
    for piece in sources.pieces_of(recording):
        listener.hear(sources.chosen(piece, config.microphone.channel))
    return listener.finish()


def _judge(
    config: Config, recording: sources.Recording, wake: WakeScore, given: Mapping[str, Any]
) -> int:
    """Measure a recording, print the result, and play it back if that is wanted."""
    choice, sound, rate = config.microphone.channel, recording.sound, recording.rate
    channels = [measure(sound[:, index], rate) for index in range(sound.shape[1])]
    mono = sources.chosen(sound, choice)
    index = int(choice) if choice.isdecimal() else None  # mix
    judged = measure(mono, rate) if index is None else channels[index]
    advice = advise(channels, index, judged, lost=recording.lost, wake=wake)
    about = {
        "source": recording.source,
        "seconds": round(len(sound) / rate, 2),
        "rate": rate,
        "by_ear": False,
        "lost_samples": recording.lost,
        "channels": [as_values(each) for each in channels],
    }
    status = _tell(about, judged, wake, advice, as_json="json" in given)
    if "play" in given:
        _play(config, pcm_to_wav(mono[: PLAY_S * rate].astype("<i2").tobytes(), rate))
    return status


def _play(config: Config, wav: bytes) -> None:
    try:
        play_here(config.speaker, wav)
    except JarvisEarError as error:
        sys.stderr.write(f"jarvis-ear: {error}\n")


def as_values(quality: ChannelQuality) -> dict[str, Any]:
    """Return the measurements of a channel as JSON values."""
    hum = quality.hum
    return {
        "rms_dbfs": round(quality.rms, 1),
        "peak_dbfs": round(quality.peak, 1),
        "noise_floor_dbfs": round(quality.noise_floor, 1),
        "loud_dbfs": round(quality.loud, 1),
        "snr_db": round(quality.snr_db, 1),
        "clipped_percent": round(100 * quality.clipped_share, 3),
        "offset_percent": round(100 * quality.offset, 3),
        "dropouts": quality.dropouts,
        "is_dead": quality.is_dead,
        "hum": hum
        and {"mains_hz": hum.mains_hz, "dbfs": round(hum.level, 1), "lines_hz": hum.lines_hz},
    }


def _tell(
    about: Mapping[str, Any],
    judged: ChannelQuality,
    wake: WakeScore,
    advice: Sequence[MicrophoneAdvice],
    *,
    as_json: bool,
) -> int:
    """Print the result, and return the exit status."""
    status = FAULTY if any(each.is_fault for each in advice) else 0
    if as_json:
        line = {
            "schema": SCHEMA,
            **about,
            "judged": as_values(judged),
            "wake": {
                "best_score": round(wake.best, 3),
                "threshold": wake.threshold,
                "detected": wake.detected,
            },
            "advice": [
                {
                    "code": each.code,
                    "is_fault": each.is_fault,
                    "text": each.text,
                    "option": each.option,
                }
                for each in advice
            ],
            "verdict": verdict(advice),
            "exit_status": status,
        }
        print_text(json.dumps(line) + "\n")
    else:
        print_text("\n".join([*_rows(about, judged, wake), "", *_words(advice), ""]))
    return status


def _rows(about: Mapping[str, Any], judged: ChannelQuality, wake: WakeScore) -> Iterator[str]:
    yield f"{about['source']}, {about['seconds']:g} s"
    yield f"  level         {judged.rms:6.1f} dBFS, peak {judged.peak:.1f}"
    yield f"  noise floor   {judged.noise_floor:6.1f} dBFS"
    yield f"  loud parts    {judged.loud:6.1f} dBFS, {judged.snr_db:.0f} dB above the noise"
    yield f"  clipped       {100 * judged.clipped_share:6.2f} %"
    if not about["by_ear"]:
        yield f"  offset        {100 * judged.offset:6.2f} %"
        hum = judged.hum
        yield "  hum             none" if hum is None else f"  hum           {hum.level:6.1f} dBFS"
        dead = sum(each["is_dead"] for each in about["channels"])
        yield f"  channels      {len(about['channels']):6}, {dead} dead"
        yield f"  dropouts      {judged.dropouts:6}, {about['lost_samples']} samples lost"
    times = f"{wake.detected} time{'' if wake.detected == 1 else 's'}"
    yield f"  wake score    {wake.best:6.2f}, threshold {wake.threshold:g}, detected {times}"


def _words(advice: Sequence[MicrophoneAdvice]) -> Iterator[str]:
    for each in advice:
        yield f"{'!' if each.is_fault else '-'} {each.text}"
        if each.option:
            yield f"    {each.option}"
    yield verdict(advice)


def _judge_ear(
    config: Config, report: Mapping[str, Any], meter: Meter, seconds: int, *, as_json: bool
) -> int:
    """Judge the microphone by what the running ear reports of it."""
    if not as_json:
        print_text(f"{_HELD}\nSay the wake word, then be silent for a while.\n")
    threshold = min(word.threshold for word in config.hearing.wake.all_words)
    levels, wake = watch(seconds, meter, threshold)
    judged = levels_quality(levels, float(report.get("clipped_percent") or 0) / 100)
    about = {
        "source": str(report.get("source", "")),
        "seconds": seconds,
        "rate": 16_000,
        "by_ear": True,
        "lost_samples": 0,
        "channels": [],
    }
    return _tell(about, judged, wake, advise([judged], 0, judged, wake=wake), as_json=as_json)


def running_report() -> Mapping[str, Any] | None:
    """Return the status of the running ear, whose device is not touched; None: none runs."""
    try:
        report = ask(paths.sockets(os.environ), "status")
    except OSError as error:
        raise MicrophoneUnavailable(f"an ear runs here and cannot be asked: {error}") from error
    if report is None:
        return None
    require_report(report)
    if report.get("muted_by"):
        raise MicrophoneUnavailable("the running ear is muted: jarvis-ear unmute")
    if not report["hearing"]:
        why = report.get("deaf_reason") or "no sound from the microphone"
        raise MicrophoneUnavailable(f"the running ear is deaf: {why}; try jarvis-ear doctor")
    return report


def watch(seconds: int, meter: Meter, threshold: float) -> tuple[list[float], WakeScore]:
    """Watch the feed; return the level of each frame in dBFS, and the scores of the wake word.

    Raises ``MicrophoneUnavailable`` if the ear stops.
    """
    levels: list[float] = []
    best, detected, was_near = 0.0, 0, False
    began = time.monotonic()
    for sound in _watched(seconds):
        levels += sound["dbfs"]
        score = float(sound["score"])
        best, is_near = max(best, score), score >= threshold
        detected += is_near and not was_near
        was_near = is_near
        if sound["dbfs"]:
            meter.show(time.monotonic() - began, max(sound["dbfs"]), score)
    meter.close()
    return levels, WakeScore(best, threshold, detected)


def _watched(seconds: float) -> Iterator[Mapping[str, Any]]:
    """Yield each state of the topic "sound" in the feed of the running ear."""
    ends = time.monotonic() + seconds
    with closing(_feed()) as ear:
        ear.sendall(b"watch\n")
        waiting = b""
        while (left_s := ends - time.monotonic()) > 0:
            ear.settimeout(left_s)
            with suppress(TimeoutError):
                more = ear.recv(MAX_LINE)
                if not more:
                    raise MicrophoneUnavailable("the running ear has stopped")
                *lines, waiting = (waiting + more).split(b"\n")
                for line in lines:
                    yield from _sounds(line)


def _sounds(line: bytes) -> Iterator[Mapping[str, Any]]:
    news = decode(line)
    if isinstance(news, Snapshot):
        found = [news.topics.get("sound")]
    else:
        found = [value for topic, value in news.changes if topic == "sound"]
    for sound in found:
        if isinstance(sound, dict) and isinstance(sound.get("dbfs"), list) and "score" in sound:
            yield sound


def _feed() -> socket.socket:
    """Connect to the control socket of the running ear."""
    for path in paths.sockets(os.environ):
        with suppress(OSError, JarvisEarError):
            return connect(path, ASK_S)
    raise MicrophoneUnavailable("the running ear no longer answers")
