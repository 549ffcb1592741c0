"""The examples do what they say, against the reference backend with real speech."""

import os
import re
import socket
import subprocess
import sys
import wave
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import requests

from fakes.program import run as run_program
from fakes.told import Told
from jarvis_ear.backend import BackendClient
from jarvis_ear.config import BackendOptions
from jarvis_ear.delivery.events import ReplyAudio, Verdict

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
RECORDING = ROOT / "tests" / "data" / "what-time-is-it.wav"
CALLED = ROOT / "tests" / "data" / "hey-jarvis-what-time-is-it.wav"

CLIENTS = {"voice_socketio": "http", "voice_ws": "ws", "session_stream": "http", "realtime": "http"}
"""What sends a WAV file, and how its address begins."""


def run(name, *arguments, folder=ROOT):
    return run_program(
        [sys.executable, ROOT / "examples" / f"{name}.py", *arguments],
        check=False,
        env=os.environ,
        cwd=folder,
        timeout=60,
    )


@pytest.fixture(scope="module")
def spoken(real_backend, tmp_path_factory):
    """Every client at once, each in a folder of its own."""
    folders = {name: tmp_path_factory.mktemp(name) for name in CLIENTS}

    def speak(name):
        url = real_backend.replace("http", CLIENTS[name], 1)
        return run(name, str(RECORDING), "--url", url, folder=folders[name])

    with ThreadPoolExecutor() as pool:
        done = dict(zip(CLIENTS, pool.map(speak, CLIENTS), strict=True))
    return {name: (done[name], folders[name]) for name in CLIENTS}


@pytest.mark.long  # hears the answers as long as they are
@pytest.mark.parametrize("name", CLIENTS)
def test_a_client_is_understood_and_gets_an_audible_answer(spoken, name):
    done, folder = spoken[name]
    assert done.returncode == 0, done.stderr
    assert "what time is it" in done.stdout
    replies = sorted(folder.glob("reply*.wav"))
    assert replies
    for reply in replies:
        with wave.open(str(reply)) as file:
            sound = np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(float)
            assert len(sound) > file.getframerate() / 2
        assert np.sqrt(np.mean(sound**2)) > 100


@pytest.mark.long  # with the others
def test_the_bus_is_watched_and_switched(real_backend):
    url = real_backend.replace("http", "ws", 1) + "/ws"
    done = run("event_bus", "--url", url, "--off", "vision", "--tell", "lunch", "--seconds", "0.3")
    assert done.returncode == 0, done.stderr
    assert "module_status_changed {'module': 'vision', 'enabled': False}" in done.stdout
    assert "lunch {'from': 'example'}" in done.stdout
    assert "pong" in done.stdout


@pytest.mark.long  # loads the models
def test_a_recording_is_replayed_and_its_level_is_shown():
    done = run("replay_wav", str(CALLED))
    assert done.returncode == 0, done.stderr
    assert re.search(r"idle -> listening +WakeDetected", done.stdout)
    assert "of sound would be sent" in done.stdout
    done = run("level_meter", str(RECORDING))
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 12
    assert "####" in done.stdout


@pytest.mark.long  # the ear sends an utterance, and hears it again
def test_the_minimal_backend_serves_the_ear():
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    backend = subprocess.Popen(
        [sys.executable, ROOT / "examples" / "minimal_backend.py", "--port", str(port)],
        stdout=subprocess.DEVNULL,
    )
    told = Told()
    try:
        config = BackendOptions(url=f"http://127.0.0.1:{port}")
        with BackendClient(config, on_event=told) as client, wave.open(str(RECORDING)) as file:
            turn = client.send_audio(file.readframes(file.getnframes()))
            assert told.end_of(turn, within_s=20).verdict is Verdict.DONE
        (reply,) = told.all(ReplyAudio)
        assert reply.audio == RECORDING.read_bytes()
        wrong = requests.post(
            f"{config.url}/api/auth/login", json={"password": "wrong"}, timeout=10
        )
        assert wrong.status_code == 401
    finally:
        backend.terminate()
        backend.wait(10)


def test_every_example_is_short():
    assert [one.stem for one in EXAMPLES if len(one.read_text().splitlines()) > 40] == []


@pytest.mark.long  # half a second for each
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.stem)
def test_an_example_has_help(example):
    done = run(example.stem, "--help")
    assert done.returncode == 0
    assert done.stdout.startswith("usage: ")
