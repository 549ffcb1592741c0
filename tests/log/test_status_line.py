import io
import os
import threading

import pytest

from fakes.clock import FakeClock
from jarvis_ear.log.status_line import REDRAW_S, StatusLine, draw

CLEAR = "\r\x1b[K"


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def stream():
    return io.StringIO()


def live_on(stream: io.StringIO, clock: FakeClock, width: int = 80) -> StatusLine:
    return StatusLine(stream, lambda: width, now=clock.monotonic)


@pytest.fixture
def live(stream, clock):
    return live_on(stream, clock)


def on_screen(written: str) -> list[str]:
    """What a terminal shows, of the two controls that the live line uses."""
    lines = [""]
    for piece in written.replace(CLEAR, "\r").replace("\n", "\n\0").split("\0"):
        for part in piece.split("\r")[1:] if "\r" in piece else [lines[-1] + piece]:
            lines[-1] = part
        if lines[-1].endswith("\n"):
            lines[-1] = lines[-1][:-1]
            lines.append("")
    return lines


@pytest.mark.parametrize(
    ("level", "full"), [(-120.0, 0), (-60.0, 0), (-30.0, 12), (0.0, 24), (6.0, 24)]
)
def test_the_bar_shows_the_level(level, full):
    line = draw("idle", level, 0.25)
    assert line.count("#") == full
    assert line.count("#") + line.count(".") - 1 == 24  # the dot of the score
    assert line.startswith("idle ")
    assert line.endswith("wake 0.25")
    assert f"{level:.0f} dBFS" in line


def test_every_state_has_the_same_width():
    states = (("idle", -42, 0), ("capturing", -7, 1), ("follow_up", -90, 0))
    assert len({len(draw(*state)) for state in states}) == 1


def test_the_line_is_redrawn_in_place(live, stream, clock):
    live.show("idle", -60, 0)
    clock.now += 0.1
    live.show("listening", -20, 0.9)
    assert on_screen(stream.getvalue()) == [draw("listening", -20, 0.9)]


def test_the_line_is_drawn_ten_times_a_second_at_most(live, stream, clock):
    for hundredth in range(100):
        live.show("idle", -60 + hundredth % 50, 0)
        clock.now += 0.01
    assert 9 <= stream.getvalue().count(CLEAR) <= 12
    assert REDRAW_S < 0.1


def test_the_same_line_is_not_drawn_again(live, stream, clock):
    for _ in range(10):
        live.show("idle", -60, 0)
        clock.now += 0.1
    assert stream.getvalue().count(CLEAR) == 1


@pytest.mark.parametrize("width", [0, 1, 10, 40])
def test_the_line_never_wraps(stream, clock, width):
    live_on(stream, clock, width).show("idle", -60, 0)
    assert len(stream.getvalue().removeprefix(CLEAR)) == max(width - 1, 0)


def test_other_lines_are_written_above_it(live, stream):
    live.write("before\n")
    live.show("idle", -60, 0)
    live.write("one\n")
    live.write("two\n")
    assert on_screen(stream.getvalue()) == ["before", "one", "two", draw("idle", -60, 0)]


def test_a_closed_line_is_not_drawn_again(live, stream, clock):
    live.show("idle", -60, 0)
    live.close()
    clock.now += 1
    live.show("idle", -50, 0)
    live.write("last\n")
    live.close()
    assert on_screen(stream.getvalue()) == ["last", ""]


def test_closing_an_undrawn_line_writes_nothing(live, stream):
    live.close()
    assert stream.getvalue() == ""


def test_threads_do_not_mix_their_lines(live, stream):
    live.show("idle", -60, 0)

    def log(name: str) -> None:
        for number in range(200):
            live.write(f"{name} {number}\n")

    threads = [threading.Thread(target=log, args=(name,)) for name in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    *lines, last = on_screen(stream.getvalue())
    assert last == draw("idle", -60, 0)
    assert sorted(lines) == sorted(f"{name} {number}" for name in "abc" for number in range(200))


def test_the_line_has_the_width_of_its_terminal(monkeypatch, stream):
    monkeypatch.setenv("COLUMNS", "12")
    StatusLine(stream).show("idle", -60, 0)
    assert len(stream.getvalue().removeprefix(CLEAR)) == 11


def test_a_line_that_is_not_enabled_is_never_drawn(stream):
    line = StatusLine(stream, enabled=False)
    line.show("idle", -60, 0)
    line.write("text\n")
    line.close()
    assert stream.getvalue() == "text\n"


def test_on_a_real_terminal_the_bytes_arrive(clock):
    ours, theirs = os.openpty()
    with os.fdopen(theirs, "w") as terminal, os.fdopen(ours, "rb", buffering=0) as screen:
        live = live_on(terminal, clock)
        live.show("idle", -60, 0)
        live.write("a line\n")
        live.close()
        expected = f"{CLEAR}{draw('idle', -60, 0)}{CLEAR}a line\r\n{draw('idle', -60, 0)}{CLEAR}"
        seen = b""
        while len(seen) < len(expected):
            seen += screen.read(1000)
    assert seen.decode() == expected
