import threading

import pytest

from fakes.portaudio import UNPLUGGED, Card, FakeSoundDevice, PortAudioError
from jarvis_ear.devices import library_lock
from jarvis_ear.devices.exclusive_stream import ExclusiveStream
from jarvis_ear.devices.library_lock import LibraryBusy, LibraryLock

CALLS = {
    "read_available": lambda stream: stream.read_available,
    "read": lambda stream: stream.read(1),
    "write_available": lambda stream: stream.write_available,
    "write": lambda stream: stream.write(b"\0\0"),
    "end": lambda stream: stream.end(),
}


@pytest.fixture
def card():
    return Card("mic")


@pytest.fixture
def lock():
    return LibraryLock()


@pytest.fixture
def stream(card, lock):
    made = FakeSoundDevice(card)._open(0, 16_000, 1)
    made.latency = 0.25
    card.heard += b"\1\0\2\0"
    return ExclusiveStream(made, lock)


def test_it_is_the_stream(card, stream):
    assert stream.latency == 0.25
    assert stream.read_available == 2
    assert stream.read(2) == (b"\1\0\2\0", False)
    room = stream.write_available
    stream.write(b"\3\0")
    assert (bytes(card.played), stream.write_available) == (b"\3\0", room - 1)


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_no_call_goes_in_while_somebody_is_inside(lock, stream, call, monkeypatch):
    monkeypatch.setattr(library_lock, "LOCK_S", 0.01)
    with lock, pytest.raises(LibraryBusy):
        call(stream)
    call(stream)


@pytest.mark.parametrize("call", [CALLS["read"], CALLS["write"]])
def test_who_fails_inside_comes_out_again(card, lock, stream, call):
    card.plugged = False
    with pytest.raises(PortAudioError, match=UNPLUGGED[0]):
        call(stream)
    with lock:
        pass


def test_the_end_is_one_visit(card, lock, stream):
    card.hangs = threading.Event()
    ending = threading.Thread(target=stream.end)
    ending.start()
    card.hangs.set()
    ending.join()
    with lock:
        pass
