"""Rows 26 and 28 of the fault matrix: the whole ear is told to stop; a second one is started."""

import os
import signal
import subprocess
import sys
import time
import wave
from pathlib import Path

import numpy as np
import pytest

from fakes.vmic import missing_tools, vmic
from fakes.voice_server import Switches, VoiceServer, wait_until

STOPPED_S = 2.0

RECORDING = Path(__file__).parents[1] / "data" / "hey-jarvis-what-time-is-it.wav"
SILENT = ("--input", str(RECORDING), "--speaker.device", "none")


def daemon(server, folder, *arguments, environment=None):
    return subprocess.Popen(
        [sys.executable, "-m", "jarvis_ear", "run", "--log.level", "debug", *arguments],
        stderr=subprocess.PIPE,
        text=True,
        env={
            **(environment or os.environ),
            "BACKEND_URL": server.url,
            "JARVIS_PASSWORD": server.switches.password,
            "RUNTIME_DIRECTORY": str(folder / "run"),
            "STATE_DIRECTORY": str(folder / "state"),
        },
    )


def read_until(ear, words):
    said = []
    for line in ear.stderr:
        said.append(line)
        if words in line:
            return
    raise AssertionError(f"never said {words!r}: {''.join(said)}")


def stop(ear):
    """SIGTERM it, and return how long it took and what it said."""
    began = time.monotonic()
    ear.send_signal(signal.SIGTERM)
    _, said = ear.communicate(timeout=60)
    took_s = time.monotonic() - began
    assert ear.returncode == 0, said
    assert "Traceback" not in said
    return took_s


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        ("silent", "hearing "),
        pytest.param("silent", "idle -> listening", marks=pytest.mark.slow),
        pytest.param("silent", "listening -> capturing", marks=pytest.mark.slow),
        pytest.param("none", "sent: ", marks=pytest.mark.slow),
        ("silent", "the backend works on it"),
        pytest.param("stops", "capturing -> thinking", marks=pytest.mark.slow),
        ("stops", "sent: "),
    ],
)
def test_row_26_stopped_in_every_state(reply, words, tmp_path):
    """``stops``: the backend itself is stopped, with data under way."""
    with VoiceServer(tmp_path, Switches(reply=reply)) as server:
        ear = daemon(server, tmp_path, *SILENT)
        read_until(ear, words)
        assert stop(ear) <= STOPPED_S
        server.resume()


@pytest.mark.skipif(missing_tools() is not None, reason=str(missing_tools()))
def test_row_26_stopped_while_it_speaks(tmp_path):
    with wave.open(str(RECORDING)) as recording:
        card = vmic(tmp_path, np.frombuffer(recording.readframes(recording.getnframes()), np.int16))
    with VoiceServer(tmp_path, Switches(reply="speech")) as server:
        ear = daemon(server, tmp_path, environment=card.environment)
        read_until(ear, "thinking -> speaking")
        assert stop(ear) <= STOPPED_S


def test_row_26_what_was_not_sent_is_kept_for_the_next_start(tmp_path):
    server = VoiceServer(tmp_path)
    ear = daemon(server, tmp_path, *SILENT)
    read_until(ear, "capturing -> thinking")
    assert stop(ear) <= STOPPED_S
    assert len(list((tmp_path / "run" / "new").iterdir())) == 1
    with server:
        ear = daemon(server, tmp_path, *SILENT)
        read_until(ear, "hearing ")
        wait_until(lambda: server.received("run"))
        assert len(server.received("run")) == 1
        assert stop(ear) <= STOPPED_S


def test_row_28_a_second_ear_refuses(tmp_path):
    with VoiceServer(tmp_path) as server:
        first = daemon(server, tmp_path, *SILENT)
        read_until(first, "hearing ")
        second = daemon(server, tmp_path, *SILENT)
        _, said = second.communicate(timeout=10)
        assert second.returncode == 75
        assert "another jarvis-ear is running" in said
        assert "Traceback" not in said
        read_until(first, "capturing -> thinking")
        stop(first)
