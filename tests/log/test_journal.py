"""Records of the journal: the socket that they are sent to, and the handler that makes them."""

import logging
import select
import socket
import sys
import threading
import time
import types

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakes.journal import parse
from jarvis_ear.log import journal as module
from jarvis_ear.log.journal import SEND_TIMEOUT_MS, JournalHandler, JournalSocket, datagram

LOGGER = logging.getLogger("jarvis_ear.test_journal")
NAMES = st.from_regex(r"[A-Z][A-Z0-9_]{0,63}", fullmatch=True)


@pytest.fixture
def sender(journal):
    return JournalSocket(journal.path)


@pytest.mark.parametrize(
    ("fields", "record"),
    [
        (
            {"MESSAGE": "heard", "PRIORITY": 6, "WAKE_SCORE": 0.97},
            {"MESSAGE": "heard", "PRIORITY": "6", "WAKE_SCORE": "0.97"},
        ),
        (
            {"EXCEPTION_TEXT": "a\nPRIORITY=0\nb", "MESSAGE": "bug"},
            {"EXCEPTION_TEXT": "a\nPRIORITY=0\nb", "MESSAGE": "bug"},
        ),
    ],
    ids=["field by field", "several lines"],
)
def test_a_record_arrives(journal, sender, fields, record):
    sender.send(fields)
    assert journal.read() == [record]


@given(st.dictionaries(NAMES, st.text() | st.integers(), min_size=1))
def test_any_text_arrives_as_it_was(fields):
    sent = {name: str(value) for name, value in fields.items()}
    assert dict(parse(datagram(sent))) == sent


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
    raise AssertionError("the socket never gets full")


def test_a_hung_journal_does_not_block(journal, sender):
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


def test_a_burst_is_not_lost_if_the_journal_reads_on(journal, sender, monkeypatch):
    monkeypatch.setattr(module, "SEND_TIMEOUT_MS", 5000)  # this machine may be busy
    with journal.keep_up() as kept:
        for number in range(200):
            sender.send({"MESSAGE": number})
    assert [record["MESSAGE"] for record in kept] == [str(number) for number in range(200)]


def test_a_record_that_is_too_long_is_refused_and_the_next_one_arrives(journal, sender):
    with pytest.raises(OSError, match="too long"):
        sender.send({"MESSAGE": "x" * 5_000_000})
    sender.send({"MESSAGE": "y"})
    assert journal.read() == [{"MESSAGE": "y"}]


def test_a_socket_reconnects_to_a_restarted_journal(journal, sender):
    sender.open()
    journal.vanish()
    with pytest.raises(OSError):  # noqa: PT011 - whatever the kernel calls it
        sender.send({"MESSAGE": "lost"})
    with pytest.raises(FileNotFoundError):
        sender.send({"MESSAGE": "lost too"})
    with journal:
        sender.send({"MESSAGE": "there"})
        assert journal.read() == [{"MESSAGE": "there"}]


@pytest.fixture
def library(journal, monkeypatch):
    """Stand in for systemd-python, whose call blocks when there is no room; gives the calls."""
    calls, fake = [], types.ModuleType("systemd.journal")
    fake.sendv = lambda *fields: calls.append(fields)
    monkeypatch.setitem(sys.modules, "systemd", types.ModuleType("systemd"))
    monkeypatch.setitem(sys.modules, "systemd.journal", fake)
    monkeypatch.setattr(module, "SOCKET", journal.path)
    return calls


@pytest.fixture
def raw(journal):
    """A socket of another program that is connected to the journal."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as other:
        other.connect(str(journal.path))
        yield other


def test_the_library_sends_where_it_is_installed(journal, library):
    JournalSocket(journal.path).send({"MESSAGE": "heard", "PRIORITY": 6})
    assert library == [("MESSAGE=heard", "PRIORITY=6")]
    assert journal.read() == []


def test_the_library_is_not_called_when_it_would_wait(journal, library, raw):
    fill(lambda: raw.send(b"MESSAGE=of another program\n"))
    with pytest.raises(BlockingIOError):
        JournalSocket(journal.path).send({"MESSAGE": "heard"})
    assert library == []


def test_without_the_library_there_is_none(monkeypatch):
    monkeypatch.setitem(sys.modules, "systemd.journal", None)
    assert module._library() is None


def test_a_connected_datagram_socket_is_writable_while_its_peers_queue_has_room(raw):
    assert select.select([], [raw], [], 0)[1]
    fill(lambda: raw.send(b"MESSAGE=x\n"))
    assert not select.select([], [raw], [], 0)[1]


@pytest.fixture
def handler(journal, monkeypatch):
    handler = JournalHandler(JournalSocket(journal.path))
    monkeypatch.setattr(LOGGER, "handlers", [handler])
    monkeypatch.setattr(LOGGER, "propagate", False)
    monkeypatch.setattr(LOGGER, "level", logging.DEBUG)
    yield handler
    handler.close()


def test_a_record_says_where_it_comes_from(journal, handler):
    LOGGER.warning("gone: %s", "x", extra={"EVENT": "MicrophoneLost", "DEAF_MS": 12})
    (record,) = journal.read()
    assert record.pop("CODE_FILE") == __file__
    assert int(record.pop("CODE_LINE")) > 0
    assert record == {
        "MESSAGE": "gone: x",
        "PRIORITY": "4",
        "SYSLOG_IDENTIFIER": "jarvis-ear",
        "LOGGER": "jarvis_ear.test_journal",
        "THREAD_NAME": threading.current_thread().name,
        "CODE_FUNC": "test_a_record_says_where_it_comes_from",
        "EVENT": "MicrophoneLost",
        "DEAF_MS": "12",
    }


@pytest.mark.parametrize(
    ("level", "priority"),
    [("debug", "7"), ("info", "6"), ("warning", "4"), ("error", "3"), ("critical", "2")],
)
def test_priorities(journal, handler, level, priority):
    getattr(LOGGER, level)("x")
    assert journal.read()[0]["PRIORITY"] == priority


@pytest.mark.parametrize(
    ("extra", "fields", "left_out"),
    [
        (
            {"CAUSE": None, "REPLY_CHUNKS": 0, "REASON": ""},
            {"REPLY_CHUNKS": "0", "REASON": ""},
            {"CAUSE"},
        ),
        (
            {"MESSAGE": "forged", "PRIORITY": 0, "_PID": 1, "lower": 2},
            {"MESSAGE": "x", "PRIORITY": "6"},
            {"_PID", "lower"},
        ),
    ],
    ids=["none", "standard fields"],
)
def test_some_fields_are_left_out(journal, handler, extra, fields, left_out):
    LOGGER.info("x", extra=extra)
    (record,) = journal.read()
    assert record | fields == record
    assert not left_out & set(record)


def test_a_bug_is_logged_with_its_traceback_and_without_arguments(journal, handler):
    try:
        int("secret")
    except ValueError:
        LOGGER.exception("bug")
    (record,) = journal.read()
    assert record["MESSAGE"] == "bug"
    assert record["EXCEPTION_TEXT"].startswith("Traceback (most recent call last):\n")
    assert record["EXCEPTION_TEXT"].endswith(
        "ValueError: invalid literal for int() with base 10: 'secret'"
    )
    assert not {"CODE_ARGS", "EXCEPTION_INFO"} & set(record)


def test_a_long_value_is_truncated(journal, handler):
    LOGGER.info("a " * 50_000, extra={"REASON": "ü " * 50_000})
    (record,) = journal.read()
    assert {len(record["MESSAGE"]), len(record["REASON"])} == {8000}


def test_a_record_that_the_journal_does_not_accept_is_counted_and_reported(journal, handler):
    while handler.lost < 3:
        LOGGER.info("x")
    before = len(journal.read())
    LOGGER.info("y")
    LOGGER.info("z")
    y, z = journal.read()
    assert before > 0
    assert y["RECORDS_LOST"] == "3"
    assert "RECORDS_LOST" not in z
    assert handler.lost == 3


def test_without_a_journal_nothing_is_raised(journal, handler, capsys):
    LOGGER.info("x")
    journal.vanish()
    LOGGER.info("y")
    LOGGER.info("z")
    assert handler.lost == 2
    assert capsys.readouterr().err == ""


def test_a_bad_log_call_does_no_harm(journal, handler):
    record = {"name": LOGGER.name, "msg": "%d", "args": ("no number",)}
    handler.handle(logging.makeLogRecord(record))  # by hand: pytest's own handler would raise
    (record,) = journal.read()
    assert record["MESSAGE"] == "a line that cannot be written: %d (TypeError)"


def test_many_threads_may_log_at_once(journal, handler):
    got = []
    done = threading.Event()

    def collect():
        while not done.is_set() or len(got) + handler.lost < 400:
            got.extend(journal.read())

    reader = threading.Thread(target=collect)
    writers = [
        threading.Thread(target=lambda: [LOGGER.info("x%d", n) for n in range(100)], daemon=True)
        for _ in range(4)
    ]
    for thread in (reader, *writers):
        thread.start()
    for thread in writers:
        thread.join(20)
    done.set()
    reader.join(20)
    assert len(got) + handler.lost == 400
    assert sum(int(record.get("RECORDS_LOST", 0)) for record in got) <= handler.lost
