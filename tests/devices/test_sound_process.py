import os
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from jarvis_ear.devices import portaudio_process
from jarvis_ear.devices.portaudio_process import SoundProcess
from jarvis_ear.devices.sound_library import StreamFailed, Taken
from jarvis_ear.errors import DeviceError, MicrophoneUnavailable

COMMAND = (sys.executable, "-m", "fakes.sound_program")


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(portaudio_process, "ANSWER_S", 0.5)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))


@pytest.fixture
def process():
    made = SoundProcess(COMMAND)
    yield made
    made.end()


def microphone(process, wanted=""):
    return process.open_input(wanted, rate=16_000, latency_s=0.2)


def lives(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def test_it_is_a_sound_library(process):
    assert [device.name for device in process.devices()] == ["box"]
    assert process.default("input") == 0
    stream = process.open_input("", rate=16_000, latency_s=0.2)
    assert (stream.latency, stream.device.name, stream.rate) == (0.25, "box", 16_000)
    assert stream.take(4, 4) == Taken(bytes(8), waiting=1234)
    stream.close()
    speaker = process.open_output("", latency_s=0.2)
    room = speaker.write_available
    speaker.write(b"\0\0")
    assert speaker.write_available == room - 1
    speaker.close()
    assert process.generation == 1


def test_what_the_library_says_is_passed_on(process):
    with pytest.raises(MicrophoneUnavailable, match="no input device matches 'nobody'"):
        microphone(process, "nobody")
    assert process.generation == 1


@pytest.mark.parametrize(
    ("count", "said"),
    [(1, "gone"), (2, "did not answer within 0.5 s"), (3, r"has crashed \(SIGSEGV\)")],
)
def test_a_stream_that_fails_takes_its_process_along(process, count, said):
    stream = microphone(process)
    pid = process._child.process.pid
    with pytest.raises(StreamFailed, match=said):
        stream.take(count, 4)
    assert not lives(pid)
    with pytest.raises(StreamFailed, match="was started anew"):
        stream.take(4, 4)
    stream.close()
    assert microphone(process).take(4, 4).data == bytes(8)
    assert process.generation == 2
    with pytest.raises(StreamFailed, match="was started anew"):
        stream.take(4, 4)


def test_an_opening_that_hangs_is_given_up(process, monkeypatch):
    process.devices()
    monkeypatch.setattr(portaudio_process, "OPEN_S", 0.2)
    with pytest.raises(DeviceError, match=r"did not answer within 0\.2 s"):
        microphone(process, "hang")
    monkeypatch.undo()
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    assert microphone(process).take(4, 4).waiting == 1234


def test_it_bears_our_name():
    process = SoundProcess()
    with suppress(DeviceError):  # there need not be any library
        process.devices()
    assert Path(f"/proc/{process._child.process.pid}/comm").read_text() == "jarvis-ear\n"
    process.end()


def test_it_ends_with_whoever_started_it(tmp_path):
    script = (
        "import os, sys, threading\n"
        "from jarvis_ear.devices.portaudio_process import SoundProcess\n"
        "process = SoundProcess()\n"
        "process.default('input')\n"
        "print(process._child.process.pid, flush=True)\n"
        "os.kill(process._child.process.pid, 19)\n"  # it is stopped: it sees no end of anything
        "os._exit(0)\n"
    )
    done = os.popen(f'{sys.executable} -c "{script}"')  # noqa: S605 - our own words
    pid = int(done.readline())
    done.close()
    deadline = time.monotonic() + 10
    while lives(pid) and time.monotonic() < deadline:
        os.sched_yield()
    assert not lives(pid)


@pytest.mark.parametrize(
    ("program", "cause"),
    [
        ("raise UnicodeError('K\\xfcche')", r"\(UnicodeError: Küche\)$"),
        ("import sys; sys.exit(3)", r"\(exit status 3\)$"),
        ("import os; os.abort()", r"\(SIGABRT\)$"),
        ("raise ValueError('x' * 3000)", r"\(ValueError: x{188}\)$"),
    ],
)
def test_a_crash_is_told_with_its_cause_and_no_traceback(capfd, program, cause):
    process = SoundProcess((sys.executable, "-c", program))
    for _ in range(2):
        with pytest.raises(DeviceError, match=cause):
            process.devices()
    process.end()
    assert capfd.readouterr().err == ""
