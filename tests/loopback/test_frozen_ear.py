"""An ear that is stopped right after the last word runs no command when it goes on."""

import json
import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress

import numpy as np
import pytest

from fakes.ear import PASSWORD
from fakes.recordings import QUESTION, recording
from fakes.running_ear import RunningEar
from fakes.vmic import missing_tools, vmic
from fakes.voice_server import VoiceServer
from jarvis_ear.audio.wav import pcm_to_wav

pytestmark = pytest.mark.long  # it is stopped for six seconds

FRESH_S = 5
STOPPED_S = FRESH_S + 1.0
BLOCK = 640

PATIENT = ("--hearing.endpointing.hangover-ms", "2500", "--backend.fresh-s", str(FRESH_S))
"""So long after the last word the sentence is over: the stop comes in between."""


def sound():
    return np.concatenate([recording(QUESTION), np.zeros(4 * 16_000, np.int16)])


def freeze(ear):
    """Stop it when the question ("what time is it", less than 1 s) has been asked."""
    ear.wait_for("-> capturing")
    rest = threading.Event()
    rest.wait(1.2)
    ear.signal(signal.SIGSTOP)
    rest.wait(STOPPED_S)
    ear.signal(signal.SIGCONT)


@contextmanager
def recorder():
    """Write the sound into a pipe as a recorder does: in real time, and without a reader it waits.

    What waits in the pipe when the ear goes on is old, and nothing in it says so.
    """
    readable, writable = os.pipe()

    def write():
        began, pcm, pause = time.monotonic(), sound(), threading.Event()
        with suppress(BrokenPipeError), os.fdopen(writable, "wb", 0) as pipe:
            for at in range(0, len(pcm), BLOCK):
                pause.wait(max(0.0, began + at / 16_000 - time.monotonic()))
                pipe.write(pcm[at : at + BLOCK].tobytes())

    writing = threading.Thread(target=write, daemon=True)
    writing.start()
    try:
        yield readable
    finally:
        os.close(readable)
        writing.join(10)


def hear(source, folder):
    """Freeze an ear that hears the question from a source; return what became of the question."""
    environment = {**os.environ, "JARVIS_EAR_BACKEND__PASSWORD": PASSWORD}
    with ExitStack() as running:
        server = running.enter_context(VoiceServer(folder))
        options, stdin = [], None
        match source:
            case "file":
                (folder / "question.wav").write_bytes(pcm_to_wav(sound().tobytes()))
                options = ["--input", str(folder / "question.wav")]
            case "pipe":
                options, stdin = ["--input", "-"], running.enter_context(recorder())
            case "microphone":
                environment |= vmic(folder, sound()).environment
        options += ["--speaker.device", "none", "--backend.url", server.url, *PATIENT]
        ear = running.enter_context(RunningEar(folder, environment, *options, stdin=stdin))
        freeze(ear)
        ear.wait_for("expired (too old)")
        assert server.received("end") == []
    [line] = (folder / "remembered" / "ledger.jsonl").read_text().splitlines()
    told = json.loads(line)
    return told["verdict"], told["cause"]


@pytest.fixture(scope="module")
def verdicts(tmp_path_factory):
    """What became of the question, by where it was heard. All three ears wait at the same time."""
    sources = ("file", "pipe") if missing_tools() else ("file", "pipe", "microphone")
    with ThreadPoolExecutor() as threads:
        yield {name: threads.submit(hear, name, tmp_path_factory.mktemp(name)) for name in sources}


@pytest.mark.parametrize(
    "heard_from",
    [
        "file",
        "pipe",
        pytest.param(
            "microphone",
            marks=pytest.mark.skipif(missing_tools() is not None, reason=str(missing_tools())),
        ),
    ],
)
def test_a_command_that_got_old_meanwhile_is_not_sent(verdicts, heard_from):
    assert verdicts[heard_from].result() == ("expired", "too_old")
