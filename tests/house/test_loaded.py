"""A started program loads what its options need, and no library of another option."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from jarvis_ear.audio.wav import pcm_to_wav

NOWHERE = "http://127.0.0.1:9"  # the discard port: nothing listens there
OTHER_PARTS = {"paho", "prometheus_client", "wyoming", "rich", "matplotlib", "httpx", "redis"}


def loaded(package: str, *words: str | Path, **variables: str) -> set[str]:
    """The packages of which a program loads a module until its input ends.

    An import that we forbid is listed too, but none of the modules below it.
    """
    done = subprocess.run(
        [
            *(sys.executable, "-X", "importtime", "-c"),
            f"from {package}.cli import program; program()",
            *words,
        ],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={**os.environ, **variables},
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return set(re.findall(r"^import time:.*\| +(\w+)\.\w", done.stderr, re.MULTILINE))


@pytest.fixture
def quiet(tmp_path) -> Path:
    file = tmp_path / "quiet.wav"
    file.write_bytes(pcm_to_wav(bytes(2 * 2 * 16_000)))
    return file


def ear(quiet: Path, protocol: str, **variables: str) -> set[str]:
    words = ("run", "--input", quiet, "--fast", "--backend-url", NOWHERE)
    return loaded("jarvis_ear", *words, "--backend.protocol", protocol, **variables)


def test_an_ear_on_a_plain_websocket_loads_neither_socketio_nor_a_login(quiet):
    names = ear(quiet, "voice-ws")
    assert "aiohttp" in names
    assert names & (OTHER_PARTS | {"socketio", "engineio", "requests", "urllib3"}) == set()


def test_an_ear_with_a_token_loads_no_login(quiet):
    """On a protocol with a login; python-engineio, below Socket.IO, loads requests for itself."""
    names = ear(quiet, "realtime", JARVIS_EAR_BACKEND__TOKEN="t")
    assert names & (OTHER_PARTS | {"socketio", "engineio", "requests", "urllib3"}) == set()


def test_an_ear_that_cannot_log_in_loads_no_wire(quiet):
    names = ear(quiet, "socketio")
    assert "requests" in names
    assert names & (OTHER_PARTS | {"socketio", "engineio"}) == set()


ENGINES = {"httpx", "pocketsphinx", "faster_whisper", "ctranslate2", "piper", "wyoming", "redis"}


def test_the_backend_loads_no_engine_that_is_not_chosen():
    words = ("--companion", "--port", "0", "--stt.engine", "none", "--tts.engine", "none")
    names = loaded("jarvis_backend", *words)
    assert "uvicorn" in names
    assert names & ENGINES == set()
    chosen = ("--brain.engine", "openai", "--brain.url", NOWHERE, "--brain.model", "m")
    assert loaded("jarvis_backend", *words, *chosen) & ENGINES == {"httpx"}
