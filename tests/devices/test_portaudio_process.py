import os
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest

from fakes.portaudio import Card, FakeSoundDevice
from jarvis_ear.devices import portaudio_process
from jarvis_ear.devices.portaudio_process import SoundProcess, pipe
from jarvis_ear.devices.sound_library import Device, StreamFailed, Taken
from jarvis_ear.devices.sound_server import SoundServer
from jarvis_ear.errors import DeviceError, MicrophoneUnavailable, SpeakerLost

COMMAND = (sys.executable, "-m", "fakes.sound_program")


@pytest.fixture(autouse=True)
def short_waits(monkeypatch):
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


def test_a_process_is_a_sound_library(process):
    assert [device.name for device in process.devices()] == ["box"]
    assert process.default("input") == 0
    stream = microphone(process)
    assert (stream.latency, stream.device.name, stream.rate) == (0.25, "box", 16_000)
    assert stream.take(4, 4) == Taken(bytes(8), waiting=1234)
    stream.close()
    speaker = process.open_output("", latency_s=0.2)
    fed = [speaker.feed(bytes(8), 6) for _ in range(2)]
    assert [(each.taken, each.waiting) for each in fed] == [(4, 4), (2, 6)]
    speaker.close()
    assert process.generation == 1


def test_an_error_of_the_library_does_not_end_its_process(process):
    with pytest.raises(MicrophoneUnavailable, match="no input device matches 'nobody'"):
        microphone(process, "nobody")
    assert process.generation == 1


@pytest.mark.parametrize(
    ("count", "error"),
    [(1, "gone"), (2, "did not answer within 0.5 s"), (3, r"has crashed \(SIGSEGV\)")],
)
def test_a_stream_that_fails_ends_its_process(process, count, error):
    stream = microphone(process)
    pid = process._child.process.pid
    with pytest.raises(StreamFailed, match=error):
        stream.take(count, 4)
    assert not lives(pid)
    with pytest.raises(StreamFailed, match="was restarted"):
        stream.take(4, 4)
    stream.close()
    assert microphone(process).take(4, 4).data == bytes(8)
    assert process.generation == 2
    with pytest.raises(StreamFailed, match="was restarted"):
        stream.take(4, 4)


def test_an_opening_that_hangs_is_given_up(process, monkeypatch):
    process.devices()
    with monkeypatch.context() as patch:
        patch.setattr(portaudio_process, "OPEN_S", 0.2)
        with pytest.raises(DeviceError, match=r"did not answer within 0\.2 s"):
            microphone(process, "hang")
    assert microphone(process).take(4, 4).waiting == 1234


def test_the_process_bears_our_name():
    process = SoundProcess()
    with suppress(DeviceError):  # there need not be any library
        process.devices()
    assert Path(f"/proc/{process._child.process.pid}/comm").read_text() == "jarvis-ear\n"
    process.end()


def test_the_process_ends_with_its_parent():
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
def test_the_error_of_a_crash_has_its_cause_and_no_traceback(capfd, program, cause):
    process = SoundProcess((sys.executable, "-c", program))
    for _ in range(2):
        with pytest.raises(DeviceError, match=cause):
            process.devices()
    process.end()
    assert capfd.readouterr().err == ""


def test_a_pipe_carries_large_values_and_tells_the_end():
    ours, theirs = pipe()
    sent = {"data": bytes(1_000_000)}
    sender = threading.Thread(target=ours.send, args=(sent,))
    assert not theirs.poll(0)
    sender.start()
    assert theirs.receive() == sent
    sender.join(10)
    ours.close()
    ours.close()
    assert theirs.poll(10)
    with pytest.raises(EOFError):
        theirs.receive()
    with pytest.raises(BrokenPipeError):
        theirs.send(sent)
    theirs.close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        theirs.send(sent)


MODULES = (
    "import sys; from jarvis_ear.devices import sound_server; "
    "print(sorted({'dataclasses', 'logging', 'multiprocessing', 'numpy', 'pathlib', 'subprocess'}"
    " & set(sys.modules)))"
)


def test_the_sound_process_imports_little():
    done = subprocess.run(
        [sys.executable, "-c", MODULES], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout == "[]\n"


MICROPHONE = {"wanted": "", "rate": 16_000, "latency_s": 0.2, "channel": "0"}


@pytest.fixture
def room():
    return FakeSoundDevice(Card("box", rates=(16_000,)))


@pytest.fixture
def ask(room):
    """Ask a server in this process."""
    ours, theirs = pipe()
    server = threading.Thread(target=SoundServer(theirs, room.library).serve)
    server.start()

    def ask(verb, **words):
        ours.send((verb, words))
        assert ours.poll(10)
        return ours.receive()

    yield ask
    ours.close()
    server.join(10)
    assert not server.is_alive()


def test_the_server_reads_and_writes_and_closes(ask, room):
    card = room.cards[0]
    assert ask("devices") == ((Device(0, "box", "ALSA", 1, 1, 16_000),), None)
    assert ask("default", kind="input") == (0, None)
    (device, rate, _, _), error = ask("open_input", **MICROPHONE)
    assert (device.name, rate, error) == ("box", 16_000, None)
    card.heard += b"\1\0\2\0"
    assert ask("take", least=1, most=1) == (Taken(b"\1\0", overflowed=False, waiting=1), None)
    assert ask("take", least=1, most=9) == (Taken(b"\2\0"), None)
    assert ask("take", least=1, most=9) == (Taken(), None)
    assert ask("close") == (None, None)
    ask("open_output", wanted="", latency_s=0.2)
    fed, error = ask("feed", data=b"\3\0", most=9)
    assert (fed.taken, fed.waiting, fed.underran, error) == (1, 1, False, None)
    assert bytes(card.played) == b"\3\0"
    ask("close")
    assert room.open_streams == []


def test_the_server_answers_with_an_error(ask, room):
    ask("open_input", **MICROPHONE)
    room.cards[0].plugged = False
    _, error = ask("take", least=1, most=1)
    assert isinstance(error, StreamFailed)
    assert str(error) == "Unanticipated host error (No such device)"
    ask("close")
    assert isinstance(ask("open_input", **MICROPHONE)[1], MicrophoneUnavailable)
    assert isinstance(ask("open_output", wanted="", latency_s=0.2)[1], SpeakerLost)
