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


def unavailable(*reasons: str) -> list[MicrophoneUnavailable]:
    return [MicrophoneUnavailable(reason) for reason in reasons]


def wait_until(true) -> None:
    """Poll what no event reports; for at most ten seconds."""
    deadline, pause = time.monotonic() + SOON_S, threading.Event()
    while not true():
        assert time.monotonic() < deadline
        pause.wait(0.002)


class NotingInbox(Inbox):
    """An inbox that notes the events of a run instead of handing them to an ear."""

    def __init__(self, run: "Run", max_frames: int):
        super().__init__(max_frames)
        self.run = run
        self.is_deaf = False

    def tell(self, event: object) -> None:
        if isinstance(event, MicrophoneFound) and not self.is_deaf:
            return  # an ear that hears ignores it
        self.is_deaf = not isinstance(event, MicrophoneFound)
        notes = {
            MicrophoneLost: ("lost", self.run.capture.lost),
            MicrophoneSilent: ("silent", self.run.capture.silence),
            MicrophoneFound: ("found",),
        }
        self.run.events.put(notes[type(event)])


class Run:
    """A capture thread of a source with this sound, and its events in their order."""

    def __init__(
        self,
        *sound: Block | Exception,
        refusals: list[Exception] | tuple[()] = (),
        live: bool = True,
        back_off_s: tuple[float, ...] = (0.001, 0.002),
        max_frames: int = 100,
        muted: bool = False,
        folder: Path | None = None,
        **attributes: object,
    ):
        self.source = FakeSource(live=live)
        vars(self.source).update(attributes)
        for refusal in refusals:
            self.source.refusals.put(refusal)
        self.source.give(*sound)
        self.give = self.source.give
        self.events = queue.Queue()
        self.inbox = NotingInbox(self, max_frames)
        self.ends = []
        self.clock = FakeClock()
        self.capture = Capture(
            self.source,
            self.inbox,
            on_end=lambda error: self.events.put(("end", error)),
            on_block=self.ends.append,
            back_off_s=back_off_s,
            muted=muted,
            losses=LossFile(folder, self.clock.monotonic),
            monotonic=self.clock.monotonic,
        )

    def next(self, count: int | None = None):
        """The next event, or so many of them."""
        if count is None:
            return self.events.get(timeout=SOON_S)
        return [self.next() for _ in range(count)]

    def block(self):
        return self.inbox.get(SOON_S)

    def wait_for_iterations(self, more: int = 1) -> None:
        before = self.capture.iterations
        wait_until(lambda: self.capture.iterations >= before + more)

    def run_to_the_end(self) -> None:
        self.capture.start()
        self.capture._thread.join(SOON_S)
        assert not self.capture._thread.is_alive()


@pytest.fixture(autouse=True)
def short_rests(monkeypatch):
    monkeypatch.setattr(module, "REST_S", 0.005)


@pytest.fixture
def run():
    runs = []

    def start(*sound: Block | Exception, **options) -> Run:
        runs.append(Run(*sound, **options))
        runs[-1].capture.start()
        return runs[-1]

    yield start
    for one in runs:
        if one.source.hang:
            one.source.hang.set()
        assert one.capture.stop()


TEN_BLOCKS = [block(start) for start in range(0, 3200, 320)]


def test_blocks_go_from_the_source_to_the_inbox(run):
    going = run(block(0), block(320))
    assert [going.block(), going.block()] == [block(0), block(320)]


def test_stop_closes_the_source_and_leaves_no_thread(run):
    going = run()
    going.give(block(0))
    assert going.block() == block(0)
    assert going.capture.stop()
    assert (going.source.opened, going.source.closed) == (1, 1)
    assert "capture" not in [thread.name for thread in threading.enumerate()]
    assert going.events.empty()


def test_it_is_a_context_and_can_be_stopped_before_its_start():
    going = Run()
    assert Run().capture.stop()
    with going.capture:
        going.give(block(0))
        assert going.block() == block(0)
    assert going.source.closed == 1


def test_a_live_source_never_waits_for_its_reader(run):
    going = run(*TEN_BLOCKS, EndOfSound(), max_frames=2)
    assert going.next() == ("end", None)
    assert going.inbox.dropped_blocks == 8


def test_a_file_waits_for_its_reader_and_loses_nothing(run):
    going = run(*TEN_BLOCKS, EndOfSound(), live=False, max_frames=2)
    assert [going.block() for _ in range(10)] == TEN_BLOCKS
    assert going.ends == list(range(320, 3520, 320))
    assert going.next() == ("end", None)


@pytest.mark.parametrize(
    "stop", [lambda going: going.capture.stop(), lambda going: going.inbox.close()]
)
def test_a_file_can_be_stopped_while_the_inbox_is_full(run, stop):
    going = run(block(0), block(320), live=False, max_frames=1)
    wait_until(lambda: going.ends)
    stop(going)
    going.capture._thread.join(SOON_S)
    assert not going.capture._thread.is_alive()
    assert going.source.closed == 1
    assert going.events.empty()


def test_a_loss_and_the_return_are_reported_once(run, log):
    going = run(refusals=unavailable("attempt 0", "attempt 1", "attempt 2"))
    assert going.next() == ("lost", "attempt 0")
    going.clock.now += 7.0
    going.give(block(0))
    assert going.next() == ("found",)
    assert going.block() == block(0)
    assert (going.source.opened, going.source.closed) == (4, 3)
    assert [record.levelname for record in log.records] == ["WARNING", "INFO", "INFO"]
    assert "fake microphone is back after 7.0 s" in log.text


def test_every_outage_is_reported_and_lasts_until_there_is_sound(run):
    one, silent, two = unavailable("one", "no sound", "two")
    going = run(block(0), one, silent, block(320), two, block(640))
    assert going.next(4) == [("lost", "one"), ("found",), ("lost", "two"), ("found",)]
    assert going.source.opened == 4


def test_the_back_off_grows_and_starts_again_after_a_return():
    sound = (block(0), *unavailable("again"), block(320), EndOfSound())
    going, waits = Run(*sound, refusals=unavailable("0", "1", "2")), []
    going.capture._requested.wait_for = lambda _changed, seconds: waits.append(seconds)
    going.run_to_the_end()
    assert waits == [0.001, 0.002, 0.002, 0.001]


def test_stop_does_not_wait_for_the_next_attempt(run):
    going = run(refusals=unavailable("none"), back_off_s=(60.0,))
    assert going.next()[0] == "lost"
    assert going.capture.stop()


@pytest.mark.parametrize("live", [True, False])
def test_a_bad_input_ends_the_capture_with_its_error(run, live):
    error = InputError("speech.wav is cut off")
    going = run(block(0), error, live=live)
    assert going.next() == ("end", error)
    assert going.source.closed == 1


def test_an_unavailable_file_and_a_device_that_cannot_be_closed_end_the_capture(run):
    [error] = unavailable("odd")
    assert run(refusals=[error], live=False).next() == ("end", error)
    error = DeviceError("only a new process can open it again")
    assert run(*unavailable("stalled"), close_error=error).next() == ("end", error)


def test_stop_does_not_wait_for_a_driver_that_hangs(run, monkeypatch, caplog):
    going = run(hang=threading.Event())
    wait_until(lambda: going.capture.iterations)
    with monkeypatch.context() as patch:
        patch.setattr(module, "STOP_S", 0.01)
        assert not going.capture.stop()
    assert "fake microphone did not stop" in caplog.text


def test_a_long_loss_has_few_records(log):
    going = Run(EndOfSound(), refusals=unavailable(*["gone"] * 200, *["busy"] * 100))
    going.capture._requested.wait_for = lambda _changed, _seconds: going.clock.sleep(4.0)
    going.run_to_the_end()
    assert [record.levelname for record in log.records] == ["WARNING", "INFO", "INFO"]
    assert log.messages[1].startswith("still no microphone after 600 s: gone")
    assert log.messages[2].startswith("still no microphone after 800 s: busy")


def test_alternating_reasons_are_logged_at_most_every_ten_seconds(log):
    going = Run()
    for second in range(61):
        going.clock.now = 1000.0 + second
        going.capture._fail(MicrophoneUnavailable("gone" if second % 2 else "busy"))
    assert len(log.records) <= 7


def test_a_mute_closes_a_live_source_and_its_end_opens_it_again(run):
    going = run(block(0))
    assert going.block() == block(0)
    going.capture.mute()
    wait_until(lambda: going.source.closed == 1)
    going.wait_for_iterations()
    assert going.source.opened == 1
    going.give(block(9600))
    going.capture.unmute()
    assert going.block() == block(9600)
    assert going.source.opened == 2
    assert not going.capture.is_muted


def test_a_source_that_is_muted_from_the_start_is_not_opened(run):
    going = run(block(0), muted=True)
    going.wait_for_iterations(2)
    going.capture.reopen()
    going.wait_for_iterations(6)
    assert going.source.opened == 0
    going.capture.unmute()
    assert going.block() == block(0)
    assert going.source.opened == 1


@pytest.mark.parametrize(
    ("refusals", "first", "second"),
    [
        (["gone", "still gone"], ("lost", "gone"), ("lost", "still gone")),
        ([], ("silent", "only zeros"), ("silent", "only zeros")),
    ],
)
def test_after_a_mute_loss_and_silence_are_reported_again(run, refusals, first, second):
    refused = unavailable(*refusals)
    going = run(block(0), refusals=refused, back_off_s=(60.0,), silence="only zeros")
    assert going.next() == first
    going.capture.mute()
    wait_until(lambda: going.capture.why_deaf == ("", ""))
    going.capture.unmute()
    going.give(block(320))
    assert going.next() == second


def test_a_muted_file_is_paused_and_stays_open(run):
    going = run(block(0), live=False)
    assert going.block() == block(0)
    going.capture.mute()
    going.wait_for_iterations(2)
    going.capture.unmute()
    going.give(block(320))
    assert going.block() == block(320)
    assert (going.source.opened, going.source.closed) == (1, 0)


def test_reopening_closes_the_source_and_opens_it_again(run):
    going = run()
    wait_until(lambda: going.source.opened == 1)
    going.capture.reopen()
    wait_until(lambda: (going.source.opened, going.source.closed) == (2, 1))
    going.give(block(0))
    assert going.block() == block(0)
    assert going.events.empty()


def test_reopening_ends_the_wait_for_a_lost_source(run):
    going = run(refusals=unavailable(*["no such device"] * 2), back_off_s=(0.001, 3600.0))
    assert going.next() == ("lost", "no such device")
    wait_until(lambda: going.capture.retry_s == 3600.0)
    assert going.capture.lost == "no such device"
    going.capture.reopen()
    going.give(block(0))
    assert going.next() == ("found",)
    assert going.capture.lost == ""


def test_loss_and_return_are_records_of_their_kinds(full_log):
    going = Run()
    going.capture._fail(MicrophoneBusy("hw:CARD=Device is held by arecord (pid 42)"))
    going.clock.now += 601
    going.capture._fail(MicrophoneUnavailable("gone"))
    going.capture._advance(CaptureEvent.SOUND)
    busy, still, found = [vars(record) for record in full_log.records]
    assert busy["EVENT"] == "MicrophoneLost"
    assert busy["MESSAGE_ID"] == kinds.MICROPHONE_BUSY.message_id
    assert "arecord" in str(busy["REASON"])
    assert (still["EVENT"], still["DEAF_MS"]) == ("MicrophoneStillLost", 601_000)
    assert (found["EVENT"], found["DEAF_MS"]) == ("MicrophoneFound", 601_000)
    assert {record["SOURCE"] for record in (busy, still, found)} == {"fake microphone"}


def test_a_loose_cable_is_logged_rarely_and_in_pairs(full_log):
    going = Run()
    for _ in range(60):
        going.capture._fail(MicrophoneUnavailable("gone"))
        going.clock.now += 0.5
        going.capture._advance(CaptureEvent.SOUND)
        going.clock.now += 0.5
    levels = [record.levelname for record in full_log.records]
    assert levels.count("WARNING") == levels.count("INFO") == 3
    assert levels.count("DEBUG") == 2 * 57
    assert levels[:4] == ["WARNING", "INFO", "DEBUG", "DEBUG"]


def test_silence_is_reported_once_and_its_end_before_the_sound(run):
    going = run(block(0))
    assert going.block() == block(0)
    going.source.silence = "only zeros"
    going.give(block(320), block(640))
    assert going.next() == ("silent", "only zeros")
    assert (going.block(), going.block()) == (block(320), block(640))
    reason, remedy = going.capture.why_deaf
    assert reason == "only zeros"
    assert "microphone.channel" in remedy
    order = []
    going.inbox.tell = lambda event: order.append(type(event))
    put = going.inbox.put
    going.inbox.put = lambda one: (order.append(one.start), put(one))
    going.source.silence = ""
    going.give(block(960))
    assert going.block() == block(960)
    assert order == [MicrophoneFound, 960]
    assert going.capture.why_deaf == ("", "")


def test_a_silent_microphone_that_was_lost_is_found_with_its_first_sound(run):
    going = run(block(0), *unavailable("unplugged"), block(320), silence="only zeros")
    assert going.next(2) == [("silent", "only zeros"), ("lost", "unplugged")]
    assert [going.block(), going.block()] == [block(0), block(320)]
    assert going.capture.why_deaf[0] == "only zeros"
    going.source.silence = ""
    going.give(block(640))
    assert going.next() == ("found",)
    assert going.block() == block(640)
    assert going.events.empty()


@pytest.mark.parametrize("event", [("silent", "only zeros"), ("lost", "gone")])
def test_after_a_mute_too_short_to_be_noticed_silence_and_loss_are_reported_again(event):
    """The ear forgets with every mute that it was deaf: the thread may have seen nothing of it."""
    going, (kind, _) = Run(silence="only zeros"), event
    for _ in range(2):
        for _ in range(2):
            if kind == "silent":
                going.capture._hand_over(block(0))
            else:
                going.capture._fail(MicrophoneUnavailable("gone"))
        going.capture.mute()
        going.capture.unmute()
        going.capture._take_requests()
    assert [*going.events.queue] == [event] * 2


@pytest.mark.parametrize(
    ("kind", "remedy"),
    [(MicrophoneUnavailable, "jarvis-ear devices"), (MicrophoneBusy, "end the program")],
)
def test_a_loss_has_a_remedy(run, kind, remedy):
    going = run(kind("gone"))
    assert going.next() == ("lost", "gone")
    assert going.capture.why_deaf[0] == "gone"
    assert remedy in going.capture.why_deaf[1]


def deaf_ms(caplog) -> list[int]:
    found = [one for one in caplog.records if "is back after" in one.getMessage()]
    return [vars(one)["DEAF_MS"] for one in found]


@pytest.mark.parametrize("refusals", [(), ("still unplugged",)])
def test_a_loss_that_began_before_a_restart_is_counted_whole(run, tmp_path, full_log, refusals):
    first = run(refusals=unavailable("unplugged"), hang=threading.Event(), folder=tmp_path)
    assert first.next() == ("lost", "unplugged")
    first.source.hang.set()
    assert first.capture.stop()
    second = Run(block(0), refusals=unavailable(*refusals), folder=tmp_path)
    second.clock.now += 3.0
    with second.capture:
        assert second.block() == block(0)
    assert deaf_ms(full_log) == [3000]
    assert run(block(0), folder=tmp_path).block() == block(0)
    assert deaf_ms(full_log) == [3000]  # it was over


def test_a_mute_ends_a_loss_that_began_before_a_restart(run, tmp_path, full_log):
    LossFile(tmp_path, FakeClock().monotonic).lasts(5)
    going = run(folder=tmp_path, muted=True)
    wait_until(lambda: going.capture.iterations > 1)
    going.give(block(0))
    going.capture.unmute()
    assert going.block() == block(0)
    assert deaf_ms(full_log) == []


def hear_silence_and_sound(going: Run, *, silent_s: float) -> None:
    going.source.silence = "fake microphone gives only zeros"
    going.capture._hand_over(block(0))
    going.clock.now += silent_s
    going.source.silence = ""
    going.capture._hand_over(block(320))


def test_silence_and_its_end_are_logged(log):
    hear_silence_and_sound(Run(), silent_s=2.5)
    silent, again = [one for one in log.records if one.EVENT != "MicrophoneOpened"]
    assert (silent.levelname, silent.EVENT) == ("WARNING", "MicrophoneSilent")
    assert kinds.MICROPHONE_SILENT.message_id == silent.MESSAGE_ID
    assert silent.getMessage() == "fake microphone gives only zeros"
    assert (again.levelname, again.EVENT, again.DEAF_MS) == ("INFO", "MicrophoneHeardAgain", 2500)


def test_a_noise_gate_does_not_fill_the_journal(log):
    going = Run()
    for _ in range(0, 3600, 12):
        hear_silence_and_sound(going, silent_s=0)
        going.clock.now += 12
    assert 20 <= len([one for one in log.records if one.EVENT != "MicrophoneOpened"]) <= 24


@given(strategies.lists(strategies.sampled_from(CaptureEvent)), strategies.booleans())
def test_the_ear_is_never_deaf_for_good_and_each_loss_is_reported_once(events, is_late):
    state, deaf = CaptureState.OPENING, False
    for event in events:
        was, (state, report) = state, after(state, event)
        if event is CaptureEvent.MUTE and not is_late:
            deaf = False  # the ear forgets it with the mute, which it may have had before the loss
        match report:
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
        state, report = after(state, event)
        deaf = deaf and report != MicrophoneFound()
    assert (state, deaf) == (CaptureState.READING, False)


def test_a_short_mute_is_applied_before_a_failure_that_follows_it(run, log):
    """The source fails before the thread has seen a mute and its end."""
    going = run(block(0))
    assert going.block() == block(0)

    def mute_and_fail():
        going.source.read = lambda: FakeSource.read(going.source)
        going.capture.mute()
        going.capture.unmute()
        raise MicrophoneUnavailable("unplugged")

    going.source.read = mute_and_fail
    assert going.next() == ("lost", "unplugged")
    going.give(block(320))
    assert going.next() == ("found",)
    assert going.block() == block(320)
    assert [one.EVENT for one in log.records][1:] == ["MicrophoneLost", "MicrophoneFound"]


@pytest.mark.parametrize("state", CaptureState)
def test_a_loss_is_reported_only_when_it_begins(state):
    to, report = after(state, CaptureEvent.FAILURE)
    lost = to is CaptureState.LOST and state is not CaptureState.LOST
    assert (report == MicrophoneLost()) is lost
