import threading

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


def test_items_come_in_their_order():
    playlist = Playlist()
    assert playlist.add(chunk(index=0))
    playlist.end("a")
    assert playlist.add(chunk("b"))
    got = [playlist.take(0) for _ in range(4)]
    assert got == [chunk(index=0), EndOfReply("a"), chunk("b"), None]


def test_so_many_chunks_and_no_more():
    playlist = Playlist()
    added = [playlist.add(chunk(index=index)) for index in range(MAX_CHUNKS + 2)]
    assert added == [True] * MAX_CHUNKS + [False] * 2
    assert playlist.refused == 2
    playlist.take(0)
    assert playlist.add(chunk())


def test_so_many_bytes_and_no_more():
    playlist = Playlist()
    assert playlist.add(chunk(size=MAX_BYTES - 5))
    assert not playlist.add(chunk(size=6))
    assert playlist.add(chunk(size=5))
    playlist.take(0)
    assert playlist.add(chunk(size=MAX_BYTES - 5))


def test_marks_do_not_pile_up():
    playlist = Playlist()
    for number in range(MAX_ENDS + 5):
        playlist.end(str(number))
    assert sum(playlist.take(0) is not None for _ in range(MAX_ENDS + 5)) == MAX_ENDS


def test_stop_forgets_what_waits_and_what_comes_late():
    playlist = Playlist()
    playlist.add(chunk("a"))
    playlist.take(0)
    playlist.add(chunk("b"))
    playlist.stop()
    assert playlist.is_stopped("a")
    assert playlist.is_stopped("b")
    assert playlist.add(chunk("a", 1))
    playlist.end("a")
    assert playlist.take(0) is None
    assert playlist.add(chunk("c"))
    assert playlist.take(0) == chunk("c")


def test_stop_wakes_the_player_once_to_be_silent():
    playlist, got = Playlist(), []
    player = threading.Thread(target=lambda: got.append(playlist.take(SOON_S)), daemon=True)
    player.start()
    playlist.stop()
    player.join(SOON_S)
    assert got == [None]
    playlist.add(chunk())
    assert playlist.take(0) == chunk()


def test_stop_makes_room():
    playlist = Playlist()
    playlist.add(chunk(size=MAX_BYTES))
    playlist.stop()
    assert playlist.add(chunk("b", size=MAX_BYTES))


def test_only_so_many_stopped_turns_are_remembered():
    playlist = Playlist()
    for number in range(MAX_STOPPED + 1):
        playlist.add(chunk(str(number)))
        playlist.stop()
    assert not playlist.is_stopped("0")
    assert playlist.is_stopped("1")


def test_waiting_for_a_stop():
    playlist = Playlist()
    playlist.add(chunk("a"))
    assert not playlist.wait_stopped("a", 0)
    playlist.stop()
    assert playlist.wait_stopped("a", 0)


def test_close_wakes_everybody_and_takes_no_more():
    playlist, got = Playlist(), []
    player = threading.Thread(target=lambda: got.append(playlist.take(SOON_S)), daemon=True)
    player.start()
    playlist.close()
    player.join(SOON_S)
    assert got == [None]
    assert playlist.add(chunk())
    playlist.end("a")
    assert playlist.take(0) is None
    assert playlist.closed
    assert playlist.is_stopped("anything")


@settings(deadline=None)
@given(st.lists(st.one_of(st.integers(0, MAX_BYTES // 8), st.none(), st.just("stop"))))
def test_the_bounds_hold_whatever_happens(steps):
    playlist = Playlist()
    for index, step in enumerate(steps):
        match step:
            case None:
                playlist.take(0)
            case "stop":
                playlist.stop()
            case size:
                playlist.add(Chunk(str(index), 0, "", b"x" * size))
        waiting = [len(item.audio) for item in playlist._items]
        assert sum(waiting) == playlist._bytes <= MAX_BYTES
        assert len(waiting) <= MAX_CHUNKS
