import pytest

from jarvis_ear import __version__
from jarvis_ear.config import LogOptions
from jarvis_ear.errors import AlreadyRunning, ConfigError, DeviceHangs, InputError
from jarvis_ear.journal import life as kinds
from jarvis_ear.log import setup
from jarvis_ear.log.setup import log_final_error, log_lifecycle


def last(journal, error):
    assert log_final_error(error, journal.stream, journal.environ, journal=journal.path)
    return journal.read()


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (ConfigError("backend.url: expected a URL"), kinds.CONFIG_REFUSED),
        (AlreadyRunning("another jarvis-ear is running"), kinds.SECOND_EAR),
        (DeviceHangs("the sound system has not answered"), kinds.HUNG),
        (InputError("no such file"), kinds.FAILED),
    ],
)
def test_the_final_error_has_its_kind(journal, error, kind):
    (record,) = last(journal, error)
    assert record["MESSAGE"] == record["REASON"] == str(error)
    assert (record["EVENT"], record["MESSAGE_ID"]) == (kind.event, kind.message_id)
    assert (record["PRIORITY"], record["EXIT_STATUS"]) == ("3", str(error.exit_status))
    assert kind.references <= set(record)


def test_every_problem_of_a_configuration_is_a_record(journal):
    records = last(journal, ConfigError("a: bad\nb: worse"))
    assert [record["REASON"] for record in records] == ["a: bad", "b: worse"]


def test_a_bug_leaves_its_traceback(journal):
    try:
        {}["key"]
    except KeyError as error:
        (record,) = last(journal, error)
    assert record["MESSAGE"] == "a bug ends jarvis-ear: KeyError: 'key'"
    assert record["MESSAGE_ID"] == kinds.CRASHED.message_id
    assert record["PRIORITY"] == "2"
    assert record["EXCEPTION_TEXT"].endswith("KeyError: 'key'")


def test_a_journal_without_a_socket_gets_lines(journal):
    journal.vanish()
    final = ConfigError("a: bad")
    assert log_final_error(final, journal.stream, journal.environ, journal=journal.path)
    journal.stream.seek(0)
    assert journal.stream.read() == "<3>a: bad\n"


def test_without_a_journal_nothing_is_logged(journal):
    assert not log_final_error(ConfigError("a: bad"), journal.stream, {}, journal=journal.path)
    assert journal.read() == []


@pytest.fixture
def log(journal):
    with setup.setup(LogOptions(), journal.stream, journal.environ, journal=journal.path):
        yield journal


def test_a_normal_end_is_logged(log):
    with log_lifecycle():
        pass
    started, stopped = log.read()
    assert started["MESSAGE_ID"] == kinds.STARTED.message_id
    assert started["VERSION"] == __version__
    assert stopped["EVENT"] == "Stopped"


def test_after_a_failure_no_normal_end_is_logged(log):
    with pytest.raises(DeviceHangs), log_lifecycle():
        raise DeviceHangs("gone")
    (started,) = log.read()
    assert started["EVENT"] == "Started"
