import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jarvis_ear.devices.playlist import (
    MAX_BYTES,
    MAX_CHUNKS,
    MAX_ENDS,
    MAX_STOPPED,
    Chunk,
    EndOfReply,
    Playlist,
)

SOON_S = 10.0


def chunk(turn_id: str = "a", index: int = 0, size: int = 10) -> Chunk:
    return Chunk(turn_id, index, "audio/wav", bytes(size))


@pytest.fixture
def playlist():
    return Playlist()


def test_items_come_in_their_order(playlist):
    assert playlist.add(chunk(index=0))
    playlist.end("a")
    assert playlist.add(chunk("b"))
    got = [playlist.take() for _ in range(4)]
    assert got == [chunk(index=0), EndOfReply("a"), chunk("b"), None]


def test_more_chunks_than_the_most_are_refused(playlist):
    added = [playlist.add(chunk(index=index)) for index in range(MAX_CHUNKS + 2)]
    assert added == [True] * MAX_CHUNKS + [False] * 2
    assert playlist.refused == 2
    playlist.take()
    assert playlist.add(chunk())


def test_more_bytes_than_the_most_are_refused(playlist):
    assert playlist.add(chunk(size=MAX_BYTES - 5))
    assert not playlist.add(chunk(size=6))
    assert playlist.add(chunk(size=5))
    playlist.take()
    assert playlist.add(chunk(size=MAX_BYTES - 5))


def test_a_stop_drops_the_chunks_of_its_turns_and_makes_room(playlist):
    playlist.add(chunk("a"))
    playlist.take()
    playlist.add(chunk("b", size=MAX_BYTES))
    assert not playlist.is_stopped("b")
    playlist.stop()
    assert playlist.is_stopped("a")
    assert playlist.is_stopped("b")
    assert playlist.add(chunk("a", 1))
    playlist.end("a")
    assert playlist.take() is None
    assert playlist.add(chunk("c", size=MAX_BYTES))
    assert playlist.take() == chunk("c", size=MAX_BYTES)


CHANGES = {
    "add": lambda playlist: playlist.add(chunk()),
    "end": lambda playlist: playlist.end("a"),
    "pause": lambda playlist: playlist.pause("a"),
    "resume": lambda playlist: playlist.resume("a"),
    "stop": Playlist.stop,
    "wake": Playlist.wake,
    "close": Playlist.close,
}


@pytest.mark.parametrize("call", CHANGES)
def test_every_change_ends_a_wait_also_one_that_begins_later(playlist, call):
    waits = [threading.Thread(target=playlist.wait, args=(SOON_S,), daemon=True) for _ in range(2)]
    waits[0].start()
    CHANGES[call](playlist)
    waits[0].join(SOON_S)
    CHANGES[call](playlist)
    waits[1].start()
    waits[1].join(SOON_S)
    assert not any(wait.is_alive() for wait in waits)


def test_a_wait_without_a_change_ends_in_time(playlist):
    playlist.wake()
    playlist.wait(SOON_S)
    playlist.wait(0)
    assert playlist.take() is None


def test_a_closed_playlist_takes_nothing(playlist):
    playlist.close()
    assert playlist.add(chunk())
    playlist.end("a")
    assert playlist.take() is None
    assert playlist.closed
    assert playlist.is_stopped("anything")
    playlist.wait(SOON_S)


def test_a_paused_turn_keeps_its_items_and_those_behind_them(playlist):
    playlist.pause("a")
    playlist.pause("a")
    playlist.add(chunk("a"))
    playlist.add(chunk("b"))
    assert playlist.take() is None
    assert playlist.is_paused("a")
    playlist.resume("a")
    playlist.resume("a")
    assert [playlist.take(), playlist.take()] == [chunk("a"), chunk("b")]


def test_a_stop_drops_a_paused_turn_of_which_nothing_has_come(playlist):
    playlist.pause("a")
    playlist.stop()
    assert playlist.is_stopped("a")
    assert not playlist.is_paused("a")


def test_the_numbers_of_ends_and_of_remembered_stopped_turns_are_bounded(playlist):
    for number in range(MAX_ENDS + 5):
        playlist.end(str(number))
    assert sum(playlist.take() is not None for _ in range(MAX_ENDS + 5)) == MAX_ENDS
    playlist = Playlist()
    for number in range(MAX_STOPPED + 1):
        playlist.add(chunk(str(number)))
        playlist.stop()
    assert not playlist.is_stopped("0")
    assert playlist.is_stopped("1")


@settings(deadline=None)
@given(st.lists(st.one_of(st.integers(0, MAX_BYTES // 8), st.none(), st.just("stop"))))
def test_the_bounds_hold_in_any_order_of_calls(steps):
    playlist = Playlist()
    for index, step in enumerate(steps):
        match step:
            case None:
                playlist.take()
            case "stop":
                playlist.stop()
            case size:
                playlist.add(Chunk(str(index), 0, "", b"x" * size))
        waiting = [len(item.audio) for item in playlist._items]
        assert sum(waiting) == playlist._bytes <= MAX_BYTES
        assert len(waiting) <= MAX_CHUNKS
