"""The whole ear as a satellite: a recording in, and what Home Assistant says out."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from fakes.home_assistant import HomeAssistant
from fakes.program import VERB, run
from fakes.voice_server import free_port

QUESTION = Path(__file__).parents[1] / "data" / "hey-jarvis-what-time-is-it.wav"
EXAMPLE = Path(__file__).parents[2] / "examples" / "home_assistant.py"


@pytest.mark.parametrize("logged", [True, False], ids=["with words", "without words"])
def test_a_question_is_answered_by_home_assistant(tmp_path, logged):
    port, replies = free_port(), tmp_path / "replies"
    folders = dict.fromkeys(("RUNTIME_DIRECTORY", "STATE_DIRECTORY"), str(tmp_path))

    async def scene():
        ear = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "jarvis_ear", "wyoming", f"--uri=tcp://127.0.0.1:{port}"),
            *("--input", str(QUESTION), "--fast", "--speaker.device=none"),
            *(f"--output-dir={replies}", *(["--log-transcripts"] if logged else [])),
            env={**os.environ, **folders},
            stderr=asyncio.subprocess.PIPE,
        )
        async with HomeAssistant(port) as server:
            await server.until("played")
            _, log = await ear.communicate()
        return server, ear.returncode, log.decode()

    server, status, log = asyncio.run(scene())
    assert (status, "Traceback" in log) == (0, False), log
    assert 1.0 < len(server.sound) / 32_000 < 4.0
    assert ("what time is it" in log) is logged
    assert "Home Assistant reached at" in log
    sounds = [file.read_bytes() for file in sorted(replies.iterdir())]
    assert sum(len(sound) - 44 for sound in sounds) == 2 * 22_050


def test_the_stand_in_of_the_page_may_be_started_before_the_ear(tmp_path):
    uri = f"tcp://127.0.0.1:{free_port()}"
    folders = dict.fromkeys(("RUNTIME_DIRECTORY", "STATE_DIRECTORY"), str(tmp_path))
    command = [sys.executable, EXAMPLE, "--turns=1", "--uri", uri]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as stand_in:
        options = ("--uri", uri, "--input", QUESTION, "--fast", "--speaker.device=none")
        run([*VERB, "wyoming", *options], env={**os.environ, **folders})
        said, complaint = stand_in.communicate(timeout=20)
    assert (stand_in.returncode, complaint) == (0, b"")
    assert said.split()[-1] == b"played"


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (("--uri", "tcp://0.0.0.0:10700"), "backend.wyoming.allow"),
        (("--uri", "127.0.0.1:10700"), "tcp://, an address of this machine and a port"),
    ],
)
def test_options_that_cannot_be_used_are_told(options, expected):
    done = run([*VERB, "wyoming", *options], check=False)
    assert done.returncode == 78
    assert expected in done.stderr
    assert "Traceback" not in done.stderr


def test_a_satellite_that_others_reach_is_a_danger_and_its_password_is_not():
    names = (
        "--backend.protocol=wyoming",
        "--uri=tcp://[::]:10700",
        "--allow=192.168.1.7,fe80::/10",
    )
    done = run([*VERB, "check", *names])
    assert "tcp://[::]:10700 unencrypted" in done.stdout
    assert "password" not in done.stdout


def test_an_ear_with_another_backend_does_not_load_the_protocol():
    program = "import sys, jarvis_ear.__main__; print('wyoming' in sys.modules)"
    assert run([sys.executable, "-c", program]).stdout == "False\n"
