import threading
from collections import deque

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jarvis_ear.audio.frames import Block, Framer
from jarvis_ear.hearing.inbox import MAX_EVENTS, Inbox
from jarvis_ear.units import Samples

SOON_S = 10.0  # a deadline for things that happen at once


def block(start: int, count: int = 320) -> Block:
    return Block(Samples(start), bytes(2 * count))


def in_thread(work):
    done = threading.Thread(target=work, daemon=True)
    done.start()
    return done


def ended(thread) -> bool:
    thread.join(SOON_S)
    return not thread.is_alive()


@pytest.fixture
def inbox():
    return Inbox()


def test_events_come_before_blocks_and_both_in_their_order(inbox):
    inbox.put(block(0))
    inbox.tell("first")
    inbox.put(block(320))
    inbox.tell("second")
    got = [inbox.get(0) for _ in range(5)]
    assert got == ["first", "second", block(0), block(320), None]


def test_without_audio_only_events_come(inbox):
    inbox.put(block(0))
    assert inbox.get(0, audio=False) is None
    inbox.tell("muted")
    assert inbox.get(0, audio=False) == "muted"
    assert inbox.get(0) == block(0)


def test_a_full_inbox_drops_the_oldest_blocks_which_are_a_gap_for_the_framer():
    inbox, framer = Inbox(max_frames=3), Framer()
    for start in range(0, 5 * 320, 320):
        inbox.put(block(start))
    assert (inbox.dropped_blocks, inbox.dropped_samples) == (2, 640)
    kept = [inbox.get(0) for _ in range(3)]
    assert kept == [block(640), block(960), block(1280)]
    assert [frame.start for frame in framer.push(kept[0])] == [640]
    assert framer.samples_lost == 640


def test_the_newest_block_is_kept_however_long_it_is():
    inbox = Inbox(max_frames=1)
    inbox.put(block(0))
    inbox.put(block(320, 9000))
    assert inbox.get(0) == block(320, 9000)
    assert inbox.dropped_blocks == 1


def test_empty_blocks_are_not_kept(inbox):
    for _ in range(10):
        inbox.put(block(0, 0))
        assert inbox.put_wait(block(0, 0), 0)
    assert inbox.get(0) is None


def test_too_many_events_drop_the_oldest(inbox):
    for number in range(MAX_EVENTS + 2):
        inbox.tell(number)
    assert inbox.dropped_events == 2
    assert inbox.get(0) == 2


@pytest.mark.parametrize(("max_frames", "first", "second"), [(2, 600, 320), (1, 320, 5000)])
def test_put_wait_fails_until_there_is_room_or_the_inbox_is_empty(max_frames, first, second):
    inbox = Inbox(max_frames)
    assert inbox.put_wait(block(0, first), 0)
    assert not inbox.put_wait(block(first, second), 0.001)
    assert inbox.get(0) == block(0, first)
    assert inbox.put_wait(block(first, second), 0)


def test_put_wait_succeeds_when_there_is_room():
    inbox = Inbox(max_frames=1)
    inbox.put_wait(block(0), 0)
    waiting = in_thread(lambda: inbox.put_wait(block(320), SOON_S))
    assert inbox.get(SOON_S) == block(0)
    assert ended(waiting)
    assert inbox.get(0) == block(320)
    assert inbox.dropped_blocks == 0


@pytest.mark.parametrize("give", ["put", "tell"])
def test_get_wakes_up_when_something_comes(inbox, give):
    got = []
    reader = in_thread(lambda: got.append(inbox.get(SOON_S)))
    getattr(inbox, give)(block(0))
    assert ended(reader)
    assert got == [block(0)]


def test_sound_does_not_wake_a_reader_of_events(inbox):
    got = []
    reader = in_thread(lambda: got.append(inbox.get(SOON_S, audio=False)))
    inbox.put(block(0))
    inbox.tell("event")
    assert ended(reader)
    assert got == ["event"]


def test_close_wakes_reader_and_writer_and_takes_no_more():
    inbox = Inbox(max_frames=1)
    inbox.put(block(0))
    got = []
    writer = in_thread(lambda: got.append(inbox.put_wait(block(320), SOON_S)))
    reader = in_thread(lambda: got.append(inbox.get(SOON_S, audio=False)))
    inbox.close()
    assert ended(writer)
    assert ended(reader)
    assert sorted(got, key=str) == [False, None]
    inbox.put(block(640))
    inbox.tell("late")
    assert not inbox.put_wait(block(640), 0)
    assert inbox.closed
    assert [inbox.get(SOON_S), inbox.get(SOON_S)] == [block(0), None]


@settings(deadline=None)
@given(st.integers(1, 5), st.lists(st.one_of(st.integers(1, 1000), st.none()), max_size=60))
def test_an_inbox_is_a_deque_bounded_in_samples(max_frames, steps):
    inbox, oracle, dropped, at = Inbox(max_frames), deque(), 0, 0
    for step in steps:
        if step is None:
            assert inbox.get(0) == (oracle.popleft() if oracle else None)
            continue
        inbox.put(block(at, step))
        oracle.append(block(at, step))
        at += step
        while len(oracle) > 1 and sum(len(one.data) for one in oracle) > max_frames * 640:
            dropped += len(oracle.popleft().data) // 2
    assert inbox.dropped_samples == dropped
    assert [inbox.get(0) for _ in oracle] == list(oracle)


def stalled(seconds: float, *, cut: int) -> tuple[Inbox, list, Framer]:
    """A consumer that hears 1 s, sleeps for ``seconds`` of sound, and then hears everything."""
    inbox, framer, heard = Inbox(), Framer(), []
    second = 16_000
    end = int(second * (2 + seconds))
    for start in range(0, end, cut):
        inbox.put(block(start, min(cut, end - start)))
        is_asleep = second <= start < second * (1 + seconds)
        while not is_asleep and (got := inbox.get(0)) is not None:
            heard += framer.push(got)
    return inbox, heard, framer


@pytest.mark.parametrize("cut", [320, 640, 1000, 1600])
def test_a_consumer_that_sleeps_loses_what_the_counters_count(cut):
    inbox, heard, framer = stalled(1.0, cut=cut)
    assert (inbox.dropped_samples, framer.gaps) == (0, 0)
    assert [frame.start for frame in heard] == list(range(0, 48_000 - 319, 320))
    inbox, heard, framer = stalled(9.0, cut=cut)
    assert framer.gaps == 1
    assert 3 * 16_000 - cut <= inbox.dropped_samples <= 3 * 16_000 + 2 * cut
    remainder = framer.samples_lost - inbox.dropped_samples
    assert 0 <= remainder < 320  # the half frame before the gap
    assert len(heard) * 320 + framer.samples_lost == pytest.approx(11 * 16_000, abs=320)
