import logging
import queue
import threading

import pytest

from fakes.clock import FakeClock
from fakes.source import FakeSource
from jarvis_ear.audio.block import Block
from jarvis_ear.devices import capture as module
from jarvis_ear.devices.capture import Capture
from jarvis_ear.devices.end_of_sound import EndOfSound
from jarvis_ear.errors import DeviceError, InputError, MicrophoneLost
from jarvis_ear.system.inbox import Inbox
from jarvis_ear.units import Samples

SOON_S = 10.0  # a deadline for things that happen at once


def block(start: int) -> Block:
    return Block(Samples(start), bytes(640))


class Run:
    """A capture thread, and everything it says in the order in which it says it."""

    def __init__(self, source: FakeSource, *, max_frames: int = 100):
        self.source = source
        self.inbox = Inbox(max_frames)
        self.told = queue.Queue()
        self.clock = FakeClock()
        self.capture = Capture(
            source,
            self.inbox,
            on_lost=lambda reason: self.told.put(("lost", reason)),
            on_found=lambda: self.told.put(("found",)),
            on_end=lambda error: self.told.put(("end", error)),
            back_off_s=(0.001, 0.002),
            monotonic=self.clock.monotonic,
        )

    def next(self):
        return self.told.get(timeout=SOON_S)

    def block(self):
        return self.inbox.get(SOON_S)


@pytest.fixture
def run():
    runs = []

    def start(source: FakeSource, **options) -> Run:
        runs.append(Run(source, **options))
        runs[-1].capture.start()
        return runs[-1]

    yield start
    for one in runs:
        if one.source.hang:
            one.source.hang.set()
        assert one.capture.stop()


def test_blocks_go_from_the_source_to_the_inbox(run):
    source = FakeSource()
    source.give(block(0), block(320))
    going = run(source)
    assert [going.block(), going.block()] == [block(0), block(320)]
    assert going.capture.heard.is_set()


def test_stop_closes_the_source_and_leaves_no_thread(run):
    source = FakeSource()
    going = run(source)
    assert going.capture.stop()
    assert (source.opened, source.closed) == (1, 1)
    assert "capture" not in [thread.name for thread in threading.enumerate()]
    assert going.told.empty()


def test_it_is_a_context(run):
    going = Run(FakeSource())
    with going.capture:
        going.source.give(block(0))
        assert going.block() == block(0)
    assert going.source.closed == 1


def test_stopping_what_never_started():
    assert Run(FakeSource()).capture.stop()


def test_a_live_source_never_waits_for_its_reader(run):
    source = FakeSource(live=True)
    source.give(*[block(start) for start in range(0, 3200, 320)], EndOfSound())
    going = run(source, max_frames=2)
    assert going.next() == ("end", None)
    assert going.inbox.dropped_blocks == 8


def test_a_file_waits_for_its_reader_and_loses_nothing(run):
    source = FakeSource(live=False)
    source.give(*[block(start) for start in range(0, 3200, 320)], EndOfSound())
    going = run(source, max_frames=2)
    assert [going.block().start for _ in range(10)] == list(range(0, 3200, 320))
    assert going.next() == ("end", None)


def test_a_reader_that_is_gone_does_not_keep_a_file_from_stopping(run):
    source = FakeSource(live=False)
    source.give(block(0), block(320))
    going = run(source, max_frames=1)
    assert going.capture.heard.wait(SOON_S)
    assert going.capture.stop()
    assert going.told.empty()


def test_a_closed_inbox_ends_the_thread(run):
    source = FakeSource(live=False)
    source.give(block(0), block(320))
    going = run(source, max_frames=1)
    assert going.capture.heard.wait(SOON_S)
    going.inbox.close()
    going.capture._thread.join(SOON_S)
    assert not going.capture._thread.is_alive()
    assert source.closed == 1


def test_a_loss_is_told_once_and_the_finding_too(run, caplog):
    caplog.set_level(logging.INFO)
    source = FakeSource()
    for attempt in range(3):
        source.refusals.put(MicrophoneLost(f"attempt {attempt}"))
    going = run(source)
    assert going.next() == ("lost", "attempt 0")
    going.clock.now += 7.0
    source.give(block(0))
    assert going.next() == ("found",)
    assert going.block() == block(0)
    assert source.opened == 4
    assert source.closed == 3
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO", "INFO"]
    assert "fake microphone is back after 7.0 s" in caplog.text


def test_an_open_without_sound_is_no_finding(run):
    source = FakeSource()
    source.give(MicrophoneLost("unplugged"), MicrophoneLost("no sound"), block(0))
    going = run(source)
    assert [going.next(), going.next()] == [("lost", "unplugged"), ("found",)]
    assert source.opened == 3


def test_every_outage_is_told(run):
    source = FakeSource()
    source.give(block(0), MicrophoneLost("one"), block(320), MicrophoneLost("two"), block(640))
    going = run(source)
    told = [going.next()[0] for _ in range(4)]
    assert told == ["lost", "found", "lost", "found"]


def test_attempts_wait_longer_and_longer_and_start_anew_after_a_finding(run):
    going = Run(FakeSource())
    waits = []
    going.capture._stopping.wait = waits.append
    for attempt in range(3):
        going.source.refusals.put(MicrophoneLost(str(attempt)))
    going.source.give(block(0), MicrophoneLost("again"), block(320), EndOfSound())
    going.capture.start()
    going.capture._thread.join(SOON_S)
    assert waits == [0.001, 0.002, 0.002, 0.001]


def test_stop_does_not_wait_for_the_next_attempt(run):
    source = FakeSource()
    going = Run(source)
    going.capture._back_off_s = (60.0,)
    source.refusals.put(MicrophoneLost("none"))
    going.capture.start()
    assert going.next()[0] == "lost"
    assert going.capture.stop()


@pytest.mark.parametrize("live", [True, False])
def test_a_bad_input_ends_it_with_its_error(run, live):
    source, error = FakeSource(live=live), InputError("speech.wav is cut off")
    source.give(block(0), error)
    going = run(source)
    assert going.next() == ("end", error)
    assert source.closed == 1


def test_a_file_is_not_looked_for(run):
    source, error = FakeSource(live=False), MicrophoneLost("odd")
    source.refusals.put(error)
    assert run(source).next() == ("end", error)


def test_a_device_that_does_not_let_go_ends_it(run):
    source = FakeSource()
    source.close_error = DeviceError("only a new process can open it again")
    source.give(MicrophoneLost("stalled"))
    assert run(source).next() == ("end", source.close_error)


def test_a_driver_that_hangs_does_not_hang_the_stop(run, monkeypatch, caplog):
    monkeypatch.setattr(module, "STOP_S", 0.01)
    source = FakeSource()
    source.hang = threading.Event()
    going = run(source)
    assert not going.capture.stop()
    assert "fake microphone did not stop" in caplog.text
    monkeypatch.setattr(module, "STOP_S", SOON_S)
