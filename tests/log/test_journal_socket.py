import select
import socket
import sys
import time
import types

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakes.journal import FakeJournal, parse
from jarvis_ear.log import journal as journal_socket
from jarvis_ear.log.journal import SEND_TIMEOUT_MS, JournalSocket, datagram

NAMES = st.from_regex(r"[A-Z][A-Z0-9_]{0,63}", fullmatch=True)


@pytest.fixture
def journal(tmp_path):
    with FakeJournal(tmp_path / "socket") as journal:
        yield journal


def test_a_record_arrives_field_by_field(journal):
    JournalSocket(journal.path).send({"MESSAGE": "heard", "PRIORITY": 6, "WAKE_SCORE": 0.97})
    assert journal.read() == [{"MESSAGE": "heard", "PRIORITY": "6", "WAKE_SCORE": "0.97"}]


@given(st.dictionaries(NAMES, st.text() | st.integers(), min_size=1))
def test_any_text_arrives_as_it_was(fields):
    sent = {name: str(value) for name, value in fields.items()}
    assert dict(parse(datagram(sent))) == sent


def test_a_value_of_several_lines_is_one_value(journal):
    JournalSocket(journal.path).send({"EXCEPTION_TEXT": "a\nPRIORITY=0\nb", "MESSAGE": "bug"})
    assert journal.read() == [{"EXCEPTION_TEXT": "a\nPRIORITY=0\nb", "MESSAGE": "bug"}]


def test_opening_without_a_journal_raises(tmp_path):
    with pytest.raises(FileNotFoundError):
        JournalSocket(tmp_path / "none").open()


def fill(send) -> int:
    """Send until the socket is full, and return the number of records sent."""
    for count in range(10_000):
        try:
            send()
        except BlockingIOError:
            return count
    raise AssertionError("it never gets full")


def test_a_hung_journal_does_not_block(journal):
    sender = JournalSocket(journal.path)
    taken = fill(lambda: sender.send({"MESSAGE": "x"}))
    assert taken > 0
    began_at = time.monotonic()
    for _ in range(1000):
        with pytest.raises(BlockingIOError):
            sender.send({"MESSAGE": "y"})
    assert time.monotonic() - began_at < 1000 * SEND_TIMEOUT_MS / 1000 / 2
    assert len(journal.read()) == taken  # it moves again
    sender.send({"MESSAGE": "z"})
    assert journal.read() == [{"MESSAGE": "z"}]


def test_a_burst_is_not_lost_if_the_journal_reads_on(journal, monkeypatch):
    monkeypatch.setattr(journal_socket, "SEND_TIMEOUT_MS", 5000)  # this machine may be busy
    sender = JournalSocket(journal.path)
    with journal.keep_up() as kept:
        for number in range(200):
            sender.send({"MESSAGE": number})
    assert [record["MESSAGE"] for record in kept] == [str(number) for number in range(200)]


def test_a_record_that_is_too_long_is_refused_and_the_next_one_arrives(journal):
    sender = JournalSocket(journal.path)
    with pytest.raises(OSError, match="too long"):
        sender.send({"MESSAGE": "x" * 5_000_000})
    sender.send({"MESSAGE": "y"})
    assert journal.read() == [{"MESSAGE": "y"}]


def test_it_reconnects_to_a_restarted_journal(journal):
    sender = JournalSocket(journal.path)
    sender.open()
    journal.vanish()
    with pytest.raises(OSError):  # noqa: PT011 - whatever the kernel calls it
        sender.send({"MESSAGE": "lost"})
    with pytest.raises(FileNotFoundError):
        sender.send({"MESSAGE": "lost too"})
    with journal:
        sender.send({"MESSAGE": "there"})
        assert journal.read() == [{"MESSAGE": "there"}]


class Library:
    """Fake systemd-python, whose call blocks when there is no room."""

    def __init__(self, monkeypatch, journal):
        self.calls = []
        module = types.ModuleType("systemd.journal")
        module.sendv = self.send
        monkeypatch.setitem(sys.modules, "systemd", types.ModuleType("systemd"))
        monkeypatch.setitem(sys.modules, "systemd.journal", module)
        monkeypatch.setattr(journal_socket, "SOCKET", journal.path)

    def send(self, *fields):
        self.calls.append(fields)


def test_the_library_sends_where_it_is_installed(journal, monkeypatch):
    library = Library(monkeypatch, journal)
    JournalSocket(journal.path).send({"MESSAGE": "heard", "PRIORITY": 6})
    assert library.calls == [("MESSAGE=heard", "PRIORITY=6")]
    assert journal.read() == []


def test_the_library_is_not_called_when_it_would_wait(journal, monkeypatch):
    library = Library(monkeypatch, journal)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as other:
        other.connect(str(journal.path))
        fill(lambda: other.send(b"MESSAGE=somebody else's\n"))
    with pytest.raises(BlockingIOError):
        JournalSocket(journal.path).send({"MESSAGE": "heard"})
    assert library.calls == []


def test_without_the_library_there_is_none(monkeypatch):
    monkeypatch.setitem(sys.modules, "systemd.journal", None)
    assert journal_socket._library() is None


def test_the_room_is_seen_by_the_kernel(journal):
    """A connected datagram socket is writable exactly while its peer's queue has room."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as sender:
        sender.connect(str(journal.path))
        assert select.select([], [sender], [], 0)[1]
        fill(lambda: sender.send(b"MESSAGE=x\n"))
        assert not select.select([], [sender], [], 0)[1]
