import logging
import threading

import pytest

from fakes.journal import FakeJournal
from jarvis_ear.log.journal import JournalHandler, JournalSocket

LOGGER = logging.getLogger("jarvis_ear.test_journal_handler")


@pytest.fixture
def journal(tmp_path):
    with FakeJournal(tmp_path / "socket") as journal:
        yield journal


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
        "LOGGER": "jarvis_ear.test_journal_handler",
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


def test_a_field_of_none_is_left_out(journal, handler):
    LOGGER.info("x", extra={"CAUSE": None, "REPLY_CHUNKS": 0, "REASON": ""})
    (record,) = journal.read()
    assert (record["REPLY_CHUNKS"], record["REASON"], "CAUSE" in record) == ("0", "", False)


def test_no_call_replaces_a_standard_field(journal, handler):
    LOGGER.info("x", extra={"MESSAGE": "forged", "PRIORITY": 0, "_PID": 1, "lower": 2})
    (record,) = journal.read()
    assert (record["MESSAGE"], record["PRIORITY"]) == ("x", "6")
    assert not {"_PID", "lower"} & set(record)


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
    assert [record["MESSAGE"] for record in journal.read()] == [
        "a line that cannot be written: %d (TypeError)"
    ]


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
