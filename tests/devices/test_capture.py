import logging
import queue
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given, strategies

from fakes.clock import FakeClock
from fakes.source import FakeSource
from jarvis_ear.audio.frames import Block
from jarvis_ear.devices import capture as module
from jarvis_ear.devices.capture import Capture, CaptureEvent, CaptureState, after
from jarvis_ear.devices.sources import EndOfSound
from jarvis_ear.errors import DeviceError, InputError, MicrophoneBusy, MicrophoneUnavailable
from jarvis_ear.health.deaf_time import LossFile
from jarvis_ear.hearing.events import MicrophoneFound, MicrophoneLost, MicrophoneSilent
from jarvis_ear.hearing.inbox import Inbox
from jarvis_ear.journal import sound as kinds
from jarvis_ear.units import Samples

SOON_S = 10.0  # a deadline for things that happen at once


def block(start: int) -> Block:
    return Block(Samples(start), bytes(640))


def wait_until(true) -> bool:
    """Poll what no event tells of; for at most ten seconds."""
    deadline, pause = time.monotonic() + SOON_S, threading.Event()
    while not true() and time.monotonic() < deadline:
        pause.wait(0.002)
    return true()


class ToldInbox(Inbox):
    """An inbox that notes the events of a run instead of handing them to an ear."""

    def __init__(self, run: "Run", max_frames: int):
        super().__init__(max_frames)
        self.run = run
        self.is_deaf = False

    def tell(self, event: object) -> None:
        if isinstance(event, MicrophoneFound) and not self.is_deaf:
            return  # an ear that hears ignores it
        self.is_deaf = not isinstance(event, MicrophoneFound)
        told = {
            MicrophoneLost: ("lost", self.run.capture.lost),
            MicrophoneSilent: ("silent", self.run.capture.silence),
            MicrophoneFound: ("found",),
        }
        self.run.told.put(told[type(event)])


class Run:
    """A capture thread, and everything it says in the order in which it says it."""

    def __init__(
        self,
        source: FakeSource,
        *,
        max_frames: int = 100,
        muted: bool = False,
        folder: Path | None = None,
    ):
        self.source = source
        self.told = queue.Queue()
        self.inbox = ToldInbox(self, max_frames)
        self.ends = []
        self.clock = FakeClock()
        self.capture = Capture(
            source,
            self.inbox,
            on_end=lambda error: self.told.put(("end", error)),
            on_block=self.ends.append,
            back_off_s=(0.001, 0.002),
            muted=muted,
            losses=LossFile(folder, self.clock.monotonic),
            monotonic=self.clock.monotonic,
        )

    def next(self):
        return self.told.get(timeout=SOON_S)

    def block(self):
        return self.inbox.get(SOON_S)


@pytest.fixture(autouse=True)
def short_rests(monkeypatch):
    monkeypatch.setattr(module, "REST_S", 0.005)


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
    assert going.ends == list(range(320, 3520, 320))
    assert going.next() == ("end", None)


def test_a_reader_that_is_gone_does_not_keep_a_file_from_stopping(run):
    source = FakeSource(live=False)
    source.give(block(0), block(320))
    going = run(source, max_frames=1)
    assert wait_until(lambda: going.ends)
    assert going.capture.stop()
    assert going.told.empty()


def test_a_closed_inbox_ends_the_thread(run):
    source = FakeSource(live=False)
    source.give(block(0), block(320))
    going = run(source, max_frames=1)
    assert wait_until(lambda: going.ends)
    going.inbox.close()
    going.capture._thread.join(SOON_S)
    assert not going.capture._thread.is_alive()
    assert source.closed == 1


def test_a_loss_is_told_once_and_the_finding_too(run, caplog):
    caplog.set_level(logging.INFO)
    source = FakeSource()
    for attempt in range(3):
        source.refusals.put(MicrophoneUnavailable(f"attempt {attempt}"))
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
    source.give(MicrophoneUnavailable("unplugged"), MicrophoneUnavailable("no sound"), block(0))
    going = run(source)
    assert [going.next(), going.next()] == [("lost", "unplugged"), ("found",)]
    assert source.opened == 3


def test_every_outage_is_told(run):
    source = FakeSource()
    source.give(
        block(0), MicrophoneUnavailable("one"), block(320), MicrophoneUnavailable("two"), block(640)
    )
    going = run(source)
    told = [going.next()[0] for _ in range(4)]
    assert told == ["lost", "found", "lost", "found"]


def test_attempts_wait_longer_and_longer_and_start_anew_after_a_finding(run):
    going = Run(FakeSource())
    waits = []
    going.capture._requested.wait_for = lambda _changed, seconds: waits.append(seconds)
    for attempt in range(3):
        going.source.refusals.put(MicrophoneUnavailable(str(attempt)))
    going.source.give(block(0), MicrophoneUnavailable("again"), block(320), EndOfSound())
    going.capture.start()
    going.capture._thread.join(SOON_S)
    assert waits == [0.001, 0.002, 0.002, 0.001]


def test_stop_does_not_wait_for_the_next_attempt(run):
    source = FakeSource()
    going = Run(source)
    going.capture._back_off_s = (60.0,)
    source.refusals.put(MicrophoneUnavailable("none"))
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
    source, error = FakeSource(live=False), MicrophoneUnavailable("odd")
    source.refusals.put(error)
    assert run(source).next() == ("end", error)


def test_a_device_that_does_not_let_go_ends_it(run):
    source = FakeSource()
    source.close_error = DeviceError("only a new process can open it again")
    source.give(MicrophoneUnavailable("stalled"))
    assert run(source).next() == ("end", source.close_error)


def test_a_driver_that_hangs_does_not_hang_the_stop(run, monkeypatch, caplog):
    monkeypatch.setattr(module, "STOP_S", 0.01)
    source = FakeSource()
    source.hang = threading.Event()
    going = run(source)
    assert not going.capture.stop()
    assert "fake microphone did not stop" in caplog.text
    monkeypatch.setattr(module, "STOP_S", SOON_S)


def test_while_it_is_gone_the_log_hears_little(run, caplog):
    caplog.set_level(logging.INFO)
    source, reasons = FakeSource(), ["gone"] * 200 + ["busy"] * 100
    going = Run(source)
    for reason in reasons:
        source.refusals.put(MicrophoneUnavailable(reason))

    def wait_for(_changed, _seconds):
        going.clock.now += 4.0

    going.capture._requested.wait_for = wait_for
    source.give(EndOfSound())
    going.capture.start()
    going.capture._thread.join(SOON_S)
    lines = [record.getMessage() for record in caplog.records]
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO", "INFO"]
    assert lines[1].startswith("still no microphone after 600 s: gone")
    assert lines[2].startswith("still no microphone after 800 s: busy")


def test_reasons_that_take_turns_are_told_at_most_every_ten_seconds(caplog):
    caplog.set_level(logging.INFO)
    going = Run(FakeSource())
    for second in range(61):
        going.clock.now = 1000.0 + second
        going.capture._fail(MicrophoneUnavailable("gone" if second % 2 else "busy"))
    assert len(caplog.records) <= 7


def test_muted_means_closed_and_unmuted_open_again(run):
    source = FakeSource()
    source.give(block(0))
    going = run(source)
    assert going.block() == block(0)
    going.capture.mute()
    assert wait_until(lambda: source.closed == 1)
    before = going.capture.iterations
    assert wait_until(lambda: going.capture.iterations > before)
    assert source.opened == 1
    source.give(block(9600))
    going.capture.unmute()
    assert going.block() == block(9600)
    assert source.opened == 2
    assert not going.capture.is_muted


def test_muted_from_the_start_it_opens_nothing(run):
    source = FakeSource()
    source.give(block(0))
    going = Run(source, muted=True)
    with going.capture:
        assert wait_until(lambda: going.capture.iterations >= 2)
        assert source.opened == 0
        going.capture.unmute()
        assert going.block() == block(0)


def test_what_is_lost_after_an_unmute_is_told_again(run):
    source = FakeSource()
    going = Run(source)
    going.capture._back_off_s = (60.0,)
    source.refusals.put(MicrophoneUnavailable("gone"))
    source.refusals.put(MicrophoneUnavailable("still gone"))
    with going.capture:
        assert going.next() == ("lost", "gone")
        going.capture.mute()
        before = going.capture.iterations
        assert wait_until(lambda: going.capture.iterations > before + 1)
        going.capture.unmute()
        assert going.next() == ("lost", "still gone")


def test_a_muted_file_waits_and_goes_on_where_it_was(run):
    source = FakeSource(live=False)
    going = Run(source)
    source.give(block(0))
    with going.capture:
        assert going.block() == block(0)
        going.capture.mute()
        before = going.capture.iterations
        assert wait_until(lambda: going.capture.iterations > before + 1)
        going.capture.unmute()
        source.give(block(320))
        assert going.block() == block(320)
        assert (source.opened, source.closed) == (1, 0)


def test_reopening_closes_the_source_and_opens_it_again(run):
    source = FakeSource()
    going = run(source)
    assert wait_until(lambda: source.opened == 1)
    going.capture.reopen()
    assert wait_until(lambda: (source.opened, source.closed) == (2, 1))
    source.give(block(0))
    assert going.block() == block(0)
    assert going.told.empty()


def test_reopening_ends_the_wait_for_a_lost_source(run, monkeypatch):
    source = FakeSource()
    for _ in range(2):
        source.refusals.put(MicrophoneUnavailable("no such device"))
    going = Run(source)
    going.capture._back_off_s = (0.001, 3600.0)
    going.capture.start()
    assert going.next() == ("lost", "no such device")
    assert wait_until(lambda: going.capture.retry_s == 3600.0)
    assert going.capture.lost == "no such device"
    going.capture.reopen()
    source.give(block(0))
    assert going.next() == ("found",)
    assert going.capture.lost == ""
    assert going.capture.stop()


def test_reopening_while_muted_opens_nothing(run):
    source = FakeSource()
    going = run(source, muted=True)
    going.capture.reopen()
    before = going.capture.iterations
    assert wait_until(lambda: going.capture.iterations > before + 5)
    assert source.opened == 0
    going.capture.unmute()
    assert wait_until(lambda: source.opened == 1)


def test_what_becomes_of_the_microphone_is_a_record_of_its_kind(caplog):
    caplog.set_level(logging.DEBUG)
    going = Run(FakeSource())
    going.capture._fail(MicrophoneBusy("hw:CARD=Device is held by arecord (pid 42)"))
    going.clock.now += 601
    going.capture._fail(MicrophoneUnavailable("gone"))
    going.capture._advance(CaptureEvent.SOUND)
    busy, still, found = [vars(record) for record in caplog.records]
    assert busy["EVENT"] == "MicrophoneLost"
    assert busy["MESSAGE_ID"] == kinds.MICROPHONE_BUSY.message_id
    assert "arecord" in str(busy["REASON"])
    assert (still["EVENT"], still["DEAF_MS"]) == ("MicrophoneStillLost", 601_000)
    assert (found["EVENT"], found["DEAF_MS"]) == ("MicrophoneFound", 601_000)
    assert {record["SOURCE"] for record in (busy, still, found)} == {"fake microphone"}


def test_a_loose_cable_is_told_seldom_and_in_pairs(caplog):
    going = Run(FakeSource())
    caplog.set_level(logging.DEBUG)
    for _ in range(60):
        going.capture._fail(MicrophoneUnavailable("gone"))
        going.clock.now += 0.5
        going.capture._advance(CaptureEvent.SOUND)
        going.clock.now += 0.5
    levels = [record.levelname for record in caplog.records]
    assert levels.count("WARNING") == levels.count("INFO") == 3
    assert levels.count("DEBUG") == 2 * 57
    quiet = [at for at, level in enumerate(levels) if level == "DEBUG"]
    assert levels[:2] == ["WARNING", "INFO"]
    assert quiet[:2] == [2, 3]


def test_silence_is_told_once_and_its_end_before_the_sound(run):
    source = FakeSource()
    going = run(source)
    source.give(block(0))
    assert going.block() == block(0)
    source.silence = "only zeros"
    source.give(block(320), block(640))
    assert going.next() == ("silent", "only zeros")
    assert (going.block(), going.block()) == (block(320), block(640))
    reason, remedy = going.capture.why_deaf
    assert reason == "only zeros"
    assert "microphone.channel" in remedy
    order = []
    going.inbox.tell = lambda event: order.append(type(event))
    put = going.inbox.put
    going.inbox.put = lambda one: (order.append(one.start), put(one))
    source.silence = ""
    source.give(block(960))
    assert going.block() == block(960)
    assert order == [MicrophoneFound, 960]
    assert going.capture.why_deaf == ("", "")


def test_a_silent_microphone_that_comes_back_is_found_with_its_first_sound(run):
    source = FakeSource()
    going = run(source)
    source.silence = "only zeros"
    source.give(block(0), MicrophoneUnavailable("unplugged"), block(320))
    assert [going.next(), going.next()] == [("silent", "only zeros"), ("lost", "unplugged")]
    assert [going.block(), going.block()] == [block(0), block(320)]
    assert going.capture.why_deaf[0] == "only zeros"
    source.silence = ""
    source.give(block(640))
    assert going.next() == ("found",)
    assert going.block() == block(640)
    assert going.told.empty()


def test_after_a_mute_silence_and_loss_are_told_again(run):
    source = FakeSource()
    going = run(source)
    source.silence = "only zeros"
    source.give(block(0))
    assert going.next() == ("silent", "only zeros")
    going.capture.mute()
    assert wait_until(lambda: going.capture.why_deaf == ("", ""))
    going.capture.unmute()
    source.give(block(320))
    assert going.next() == ("silent", "only zeros")


def test_a_mute_too_short_to_be_noticed_is_told_of_as_well():
    """The ear forgets that it was deaf with every mute: the thread may have seen nothing of it."""
    going = Run(FakeSource())

    def mute_and_unmute():
        going.capture.mute()
        going.capture.unmute()
        going.capture._take_requests()

    going.source.silence = "only zeros"
    for _ in range(2):
        going.capture._hand_over(block(0))
        going.capture._hand_over(block(0))
        mute_and_unmute()
    for _ in range(2):
        going.capture._fail(MicrophoneUnavailable("gone"))
        going.capture._fail(MicrophoneUnavailable("gone"))
        mute_and_unmute()
    assert [*going.told.queue] == [("silent", "only zeros")] * 2 + [("lost", "gone")] * 2


@pytest.mark.parametrize(
    ("error", "remedy"),
    [
        (MicrophoneUnavailable("gone"), "jarvis-ear devices"),
        (MicrophoneBusy("held"), "end the program"),
    ],
)
def test_a_loss_comes_with_what_to_do(run, error, remedy):
    source = FakeSource()
    source.give(error)
    going = run(source)
    assert going.next() == ("lost", str(error))
    assert going.capture.why_deaf[0] == str(error)
    assert remedy in going.capture.why_deaf[1]


def deaf_ms(caplog) -> list[int]:
    found = [one for one in caplog.records if "is back after" in one.getMessage()]
    return [vars(one)["DEAF_MS"] for one in found]


@pytest.mark.parametrize("is_there_at_once", [True, False])
def test_a_loss_that_began_before_a_restart_is_told_whole(run, tmp_path, caplog, is_there_at_once):
    caplog.set_level(logging.DEBUG)
    source = FakeSource()
    source.refusals.put(MicrophoneUnavailable("unplugged"))
    source.hang = threading.Event()
    first = run(source, folder=tmp_path)
    assert first.next() == ("lost", "unplugged")
    source.hang.set()
    assert first.capture.stop()
    second = FakeSource()
    if not is_there_at_once:
        second.refusals.put(MicrophoneUnavailable("still unplugged"))
    second.give(block(0))
    going = Run(second, folder=tmp_path)
    going.clock.now += 3.0
    going.capture.start()
    assert going.block() == block(0)
    assert going.capture.stop()
    assert deaf_ms(caplog) == [3000]
    third = FakeSource()
    third.give(block(0))
    assert run(third, folder=tmp_path).block() == block(0)
    assert deaf_ms(caplog) == [3000]  # it was over


def test_a_mute_ends_a_loss_for_the_next_ear_too(run, tmp_path, caplog):
    caplog.set_level(logging.DEBUG)
    LossFile(tmp_path, FakeClock().monotonic).lasts(5)
    going = run(FakeSource(), folder=tmp_path, muted=True)
    assert wait_until(lambda: going.capture.iterations > 1)
    going.source.give(block(0))
    going.capture.unmute()
    assert going.block() == block(0)
    assert deaf_ms(caplog) == []


def test_silence_and_its_end_are_told(caplog):
    caplog.set_level(logging.INFO)
    going = Run(FakeSource())
    going.source.silence = "fake microphone gives only zeros"
    going.capture._hand_over(block(0))
    going.clock.now += 2.5
    going.source.silence = ""
    going.capture._hand_over(block(320))
    silent, again = [one for one in caplog.records if one.EVENT != "MicrophoneOpened"]
    assert (silent.levelname, silent.EVENT) == ("WARNING", "MicrophoneSilent")
    assert kinds.MICROPHONE_SILENT.message_id == silent.MESSAGE_ID
    assert silent.getMessage() == "fake microphone gives only zeros"
    assert (again.levelname, again.EVENT, again.DEAF_MS) == ("INFO", "MicrophoneHeardAgain", 2500)


def test_a_noise_gate_does_not_fill_the_journal(caplog):
    caplog.set_level(logging.INFO)
    going = Run(FakeSource())
    for _ in range(0, 3600, 12):
        going.source.silence = "only zeros"
        going.capture._hand_over(block(0))
        going.source.silence = ""
        going.capture._hand_over(block(320))
        going.clock.now += 12
    assert 20 <= len([one for one in caplog.records if one.EVENT != "MicrophoneOpened"]) <= 24


@given(strategies.lists(strategies.sampled_from(CaptureEvent)), strategies.booleans())
def test_whatever_happens_it_is_never_deaf_for_good_and_tells_each_loss_once(events, is_late):
    state, deaf = CaptureState.OPENING, False
    for event in events:
        was, (state, told) = state, after(state, event)
        if event is CaptureEvent.MUTE and not is_late:
            deaf = False  # the ear forgets it with the mute, which it may have had before the loss
        match told:
            case MicrophoneFound():
                assert deaf or was is CaptureState.OPENING
                deaf = False
            case MicrophoneLost() | MicrophoneSilent():
                assert not deaf or is_late or was is CaptureState.SILENT  # which may be lost, too
                deaf = True
        if state in (CaptureState.LOST, CaptureState.SILENT):
            assert deaf
        if state is CaptureState.READING:
            assert not deaf
    if CaptureEvent.END in events:
        assert state is CaptureState.OVER
        return
    for event in (CaptureEvent.UNMUTE, CaptureEvent.SOUND):
        state, told = after(state, event)
        deaf = deaf and told != MicrophoneFound()
    assert (state, deaf) == (CaptureState.READING, False)


def test_a_short_mute_before_a_failure_is_taken_before_it(run, caplog):
    """The source fails before the thread has seen a mute and its end."""
    caplog.set_level(logging.INFO)
    source, read = FakeSource(), FakeSource.read
    source.give(block(0))
    going = run(source)
    assert going.block() == block(0)

    def mute_and_fail():
        source.read = lambda: read(source)
        going.capture.mute()
        going.capture.unmute()
        raise MicrophoneUnavailable("unplugged")

    source.read = mute_and_fail
    assert going.next() == ("lost", "unplugged")
    source.give(block(320))
    assert going.next() == ("found",)
    assert going.block() == block(320)
    assert [one.EVENT for one in caplog.records][1:] == ["MicrophoneLost", "MicrophoneFound"]


@pytest.mark.parametrize("state", CaptureState)
def test_a_loss_is_told_on_the_way_into_it_only(state):
    to, told = after(state, CaptureEvent.FAILURE)
    lost = to is CaptureState.LOST and state is not CaptureState.LOST
    assert (told == MicrophoneLost()) is lost
