"""Running ear: what an ear that holds the microphone measures, read from its feed."""

import os
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, suppress
from typing import Any

from jarvis_ear import paths
from jarvis_ear.control.client import ASK_S, ask, require_report
from jarvis_ear.control.feed import MAX_LINE, Snapshot, decode
from jarvis_ear.control.unix_socket import connect
from jarvis_ear.errors import JarvisEarError, MicrophoneUnavailable
from jarvis_ear.mic_check.advice import WakeScore
from jarvis_ear.mic_check.meter import Meter


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
