"""An ear that is stopped right after the last word runs no command when it goes on."""

import json
import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress

import numpy as np
import pytest

from fakes.recordings import QUESTION, recording
from fakes.running_ear import RunningEar
from fakes.vmic import missing_tools, vmic
from fakes.voice_server import VoiceServer
from jarvis_ear.audio.wav import pcm_to_wav

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


def verdict(folder):
    lines = (folder / "remembered" / "ledger.jsonl").read_text().splitlines()
    [told] = map(json.loads, lines)
    return told["verdict"], told["cause"]


def environment(password):
    return {**os.environ, "JARVIS_EAR_BACKEND__PASSWORD": password}


def hear_a_file(tmp_path):
    (tmp_path / "question.wav").write_bytes(pcm_to_wav(sound().tobytes()))
    with (
        VoiceServer(tmp_path) as server,
        RunningEar(
            tmp_path,
            environment("open sesame"),
            *("--input", str(tmp_path / "question.wav"), "--speaker.device", "none"),
            *("--backend.url", server.url, *PATIENT),
        ) as ear,
    ):
        freeze(ear)
        ear.wait_for("expired (too old)")
        assert server.received("end") == []
    return verdict(tmp_path)


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


def hear_a_pipe(tmp_path):
    with (
        VoiceServer(tmp_path) as server,
        recorder() as pipe,
        RunningEar(
            tmp_path,
            environment("open sesame"),
            *("--input", "-", "--speaker.device", "none", "--backend.url", server.url, *PATIENT),
            stdin=pipe,
        ) as ear,
    ):
        freeze(ear)
        ear.wait_for("expired (too old)")
        assert server.received("end") == []
    return verdict(tmp_path)


def hear_a_microphone(tmp_path):
    card = vmic(tmp_path, sound())
    with (
        VoiceServer(tmp_path) as server,
        RunningEar(
            tmp_path,
            {**environment("open sesame"), **card.environment},
            *("--speaker.device", "none", "--backend.url", server.url, *PATIENT),
        ) as ear,
    ):
        freeze(ear)
        ear.wait_for("expired (too old)")
        assert server.received("end") == []
    return verdict(tmp_path)


@pytest.fixture(scope="module")
def verdicts(tmp_path_factory):
    """What became of the question, by where it was heard. All three ears wait at the same time."""
    stories = {"file": hear_a_file, "pipe": hear_a_pipe}
    if missing_tools() is None:
        stories["microphone"] = hear_a_microphone
    with ThreadPoolExecutor() as threads:
        yield {
            name: threads.submit(story, tmp_path_factory.mktemp(name))
            for name, story in stories.items()
        }


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
