import io
import json
import logging
import os
import re
import sys
import tempfile
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakes.journal import FakeJournal
from jarvis_ear.config import LogOptions
from jarvis_ear.journal.kind import FIELDS, OF_EVERY_RECORD
from jarvis_ear.log import setup
from jarvis_ear.log.redact import escaped, redacted

OURS = logging.getLogger("jarvis_ear.somewhere")
NO_JOURNAL = Path("/nonexistent/socket")
TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJqYXJ2aXMifQ.c2lnbmF0dXJl-_x"


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@contextmanager
def written(log: LogOptions | None = None, stream: io.StringIO | None = None, **environ: str):
    stream = io.StringIO() if stream is None else stream
    with setup.setup(log or LogOptions(), stream, environ):
        yield stream


def lines(stream: io.StringIO) -> list[str]:
    return stream.getvalue().splitlines()


def test_a_line_for_people_has_the_time_and_the_message():
    with written() as stream:
        OURS.info("heard %s", "something", extra={"TURN_ID": "7f3a"})
    assert re.fullmatch(r"\d\d:\d\d:\d\d heard something\n", stream.getvalue())


@pytest.mark.parametrize(
    ("level", "word"),
    [
        (logging.DEBUG, "debug: "),
        (logging.INFO, ""),
        (logging.WARNING, "warning: "),
        (logging.ERROR, "error: "),
    ],
)
def test_the_level_is_written_unless_it_is_info(level, word):
    with written(LogOptions(level="debug")) as stream:
        OURS.log(level, "x")
    assert stream.getvalue()[9:] == f"{word}x\n"


def test_on_a_terminal_warnings_and_errors_are_coloured():
    with written(stream=Terminal(), TERM="xterm") as stream:
        OURS.info("calm")
        OURS.warning("careful")
    calm, careful = lines(stream)
    assert "\x1b" not in calm
    assert careful[9:] == "\x1b[33mwarning:\x1b[0m careful"


@pytest.mark.parametrize("environ", [{"TERM": "xterm", "NO_COLOR": "1"}, {"TERM": "dumb"}, {}])
def test_colours_can_be_turned_off(environ):
    with written(stream=Terminal(), **environ) as stream:
        OURS.error("x")
    assert "\x1b[31m" not in stream.getvalue()


def test_an_empty_no_color_turns_nothing_off():
    with written(stream=Terminal(), TERM="xterm", NO_COLOR="") as stream:
        OURS.error("x")
    assert "\x1b[31m" in stream.getvalue()


def test_lines_below_the_level_are_not_written():
    with written(LogOptions(level="warning")) as stream:
        OURS.info("x")
        OURS.warning("y")
    assert len(lines(stream)) == 1


@pytest.mark.parametrize(
    "name", ["engineio.client", "socketio", "aiohttp.access", "urllib3", "asyncio", "else"]
)
def test_libraries_log_from_warning_on(name):
    with written(LogOptions(level="debug")) as stream:
        logging.getLogger(name).info("every packet")
        logging.getLogger(name).warning("trouble")
    assert [line[9:] for line in lines(stream)] == [f"warning: {name}: trouble"]


def test_errors_only_means_libraries_too():
    with written(LogOptions(level="error")) as stream:
        logging.getLogger("aiohttp").warning("trouble")
    assert stream.getvalue() == ""


def test_the_library_does_not_write_past_us():
    engineio = pytest.importorskip("engineio")
    with written():
        before = len(logging.getLogger("engineio.client").handlers)
        client = engineio.Client()
        assert len(client.logger.handlers) == before


def test_the_logging_set_up_is_restored():
    loggers = [logging.getLogger(name) for name in (None, "jarvis_ear", *setup.OTHERS)]
    before = [(logger.level, list(logger.handlers)) for logger in loggers]
    with pytest.raises(KeyError), written(LogOptions(level="debug")):
        raise KeyError
    assert [(logger.level, list(logger.handlers)) for logger in loggers] == before


def test_a_line_break_in_a_message_is_escaped():
    with written() as stream:
        OURS.info("understood %s", 'x\n<0>fake\r\x1b[2J\u2028\u202e"')
    assert lines(stream) == [
        f'{stream.getvalue()[:8]} understood x\\n<0>fake\\r\\x1b[2J\\u2028\\u202e"'
    ]


@given(st.text())
def test_escaped_text_is_one_printable_line(text):
    assert escaped(text).isprintable()
    assert escaped("größe " + text).startswith("größe ")


def divide() -> None:
    try:
        1 / 0  # noqa: B018 - it is the error that counts
    except ZeroDivisionError:
        OURS.exception("bug")


def test_a_traceback_keeps_its_lines():
    with written() as stream:
        divide()
    assert lines(stream)[1] == "Traceback (most recent call last):"
    assert lines(stream)[-1] == "ZeroDivisionError: division by zero"


@pytest.fixture
def journal(tmp_path):
    """A file that we are told is the journal."""
    with (tmp_path / "journal").open("w+") as stream:
        found = os.fstat(stream.fileno())
        yield stream, f"{found.st_dev}:{found.st_ino}"


def told(stream) -> list[str]:
    """What a journal got that takes lines only: there is no socket for fields."""
    stream.seek(0)
    return stream.read().splitlines()


def test_the_journal_gets_the_priority_and_no_time(journal):
    stream, name = journal
    with setup.setup(
        LogOptions(level="debug"), stream, {"JOURNAL_STREAM": name}, journal=NO_JOURNAL
    ):
        OURS.debug("a")
        OURS.info("b")
        OURS.warning("c")
        OURS.error("d\n<6>e")
        OURS.critical("f")
        logging.getLogger("aiohttp").warning("g")
    assert told(stream) == ["<7>a", "<6>b", "<4>c", "<3>d\\n<6>e", "<2>f", "<4>aiohttp: g"]


def test_in_the_journal_every_line_of_a_traceback_has_its_priority(journal):
    stream, name = journal
    with setup.setup(LogOptions(), stream, {"JOURNAL_STREAM": name}, journal=NO_JOURNAL):
        divide()
    assert len(told(stream)) > 3
    assert all(line.startswith("<3>") for line in told(stream))


def test_json_in_the_journal_keeps_the_priority(journal):
    stream, name = journal
    with setup.setup(LogOptions(format="json"), stream, {"JOURNAL_STREAM": name}):
        OURS.warning("x")
    (line,) = told(stream)
    assert json.loads(line.removeprefix("<4>"))["MESSAGE"] == "x"


@pytest.mark.parametrize("name", ["", "1:2", "nonsense", "8:1:2"])
def test_another_stream_is_not_the_journal(journal, name):
    stream, _ = journal
    assert not setup.is_journal(stream, {"JOURNAL_STREAM": name})
    assert not setup.is_journal(stream, {})
    assert not setup.is_journal(io.StringIO(), {"JOURNAL_STREAM": name})


def test_json_has_the_fields():
    with written(LogOptions(format="json")) as stream:
        OURS.info(
            "sent %d", 3, extra={"TURN_ID": "7f3a", "LATENCY_SENT_MS": 812, "WAKE_SCORE": 0.97}
        )
    (line,) = map(json.loads, lines(stream))
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00", line.pop("TIME"))
    assert line.pop("CODE_FILE") == __file__
    assert line.pop("CODE_LINE") > 0
    assert line == {
        "MESSAGE": "sent 3",
        "PRIORITY": 6,
        "SYSLOG_IDENTIFIER": "jarvis-ear",
        "LOGGER": "jarvis_ear.somewhere",
        "THREAD_NAME": "MainThread",
        "CODE_FUNC": "test_json_has_the_fields",
        "TURN_ID": "7f3a",
        "LATENCY_SENT_MS": 812,
        "WAKE_SCORE": 0.97,
    }


def test_json_keeps_a_traceback_on_its_line():
    with written(LogOptions(format="json")) as stream:
        divide()
    (line,) = map(json.loads, lines(stream))
    assert line["EXCEPTION_TEXT"].endswith("ZeroDivisionError: division by zero")


def test_json_takes_any_value_and_any_text():
    with written(LogOptions(format="json")) as stream:
        OURS.info("\udcff ü", extra={"THING": {1, 2}})
    (line,) = map(json.loads, lines(stream))
    assert line["MESSAGE"] == "\\udcff ü"
    assert line["THING"] == "{1, 2}"


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        (f"auth {{'token': '{TOKEN}'}} end", "auth {'token': '[token]'} end"),
        (f"GET /?t={TOKEN}&x=1", "GET /?t=[token]&x=1"),
        (
            '["voice:audio_chunk",{"audio":"UklGRg==","seq":0}]',
            '["voice:audio_chunk",{"audio":[audio],"seq":0}]',
        ),
        ("{'audio': b'RIFF\"x', 'seq': 0}", "{'audio': [audio], 'seq': 0}"),
        ("{'audio': 'UklGRg and it was cut", "{'audio': [audio]"),
        ("4" + "A" * 300 + "== end", "[data] end"),
        ("a path/of/usual-length and words", "a path/of/usual-length and words"),
    ],
)
def test_tokens_and_sound_are_redacted(text, clean):
    assert redacted(text) == clean
    with written() as stream:
        logging.getLogger("socketio.client").warning("%s", text)
    assert lines(stream)[0].endswith(clean)


@pytest.mark.parametrize("form", ["text", "json"])
def test_tokens_in_a_traceback_are_redacted(form):
    with written(LogOptions(format=form)) as stream:
        try:
            int(TOKEN)
        except ValueError:
            logging.getLogger("engineio.client").exception("lost")
    assert TOKEN not in stream.getvalue()
    assert "[token]" in stream.getvalue()


def test_a_bad_log_call_of_a_library_does_no_harm_and_shows_no_value(capsys, monkeypatch):
    monkeypatch.setattr(logging.getLogger(), "handlers", [])  # pytest's own would raise
    with written() as stream:
        logging.getLogger("aiohttp").warning("%d", TOKEN)
    (line,) = lines(stream)
    assert line[9:] == "warning: aiohttp: a line that cannot be written: %d (TypeError)"
    assert capsys.readouterr().err == ""


def test_a_terminal_has_a_status_line_and_log_lines_stand_above_it():
    stream = Terminal()
    with setup.setup(LogOptions(), stream, {"TERM": "xterm"}) as line:
        line.show("idle", -60, 0)
        OURS.info("heard")
    assert re.search(r"\r\x1b\[K\d\d:\d\d:\d\d heard\nidle [^\n]+\r\x1b\[K$", stream.getvalue())


@pytest.mark.parametrize(
    ("stream", "form", "term"),
    [(io.StringIO(), "auto", "xterm"), (Terminal(), "json", "xterm"), (Terminal(), "text", "dumb")],
)
def test_elsewhere_there_is_no_status_line(stream, form, term):
    with setup.setup(LogOptions(format=form), stream, {"TERM": term}) as line:
        line.show("idle", -60, 0)
    assert stream.getvalue() == ""


def test_lines_go_to_standard_error_by_default(capsys):
    with setup.setup(LogOptions()):
        OURS.info("heard")
    out, err = capsys.readouterr()
    assert (out, err[9:]) == ("", "heard\n")
    assert sys.stderr is not None


LEVELS = st.sampled_from([logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR])
VALUES = st.none() | st.text() | st.integers() | st.floats() | st.booleans()


@given(
    LEVELS,
    st.text(),
    st.dictionaries(st.sampled_from(sorted({*FIELDS} - {*OF_EVERY_RECORD})), VALUES),
    st.booleans(),
)
def test_one_record_has_three_renderings(level, text, extra, is_bug):
    """The journal and the JSON line get the same fields; the text is MESSAGE with its level."""
    with ThreeRenderings() as three:
        OURS.log(level, "%s", text, extra=extra, exc_info=ValueError(text) if is_bug else None)
    assert {name: str(value) for name, value in three.json.items()} == three.journal
    first, *rest = three.text.split("\n")
    word = "" if level == logging.INFO else f"{logging.getLevelName(level).lower()}: "
    assert first == f"{word}{three.journal['MESSAGE']}"
    assert "\n".join(rest) == three.journal.get("EXCEPTION_TEXT", "")
    assert set(three.journal) <= set(FIELDS)
    assert {name for name, value in extra.items() if value is not None} <= set(three.journal)


class ThreeRenderings:
    """Sets up logging three times over one record."""

    def __enter__(self):
        self._up = ExitStack()
        folder = Path(self._up.enter_context(tempfile.TemporaryDirectory()))
        self._journal = self._up.enter_context(FakeJournal(folder / "socket"))
        self._stream = self._up.enter_context((folder / "stream").open("w+"))
        found = os.fstat(self._stream.fileno())
        environ = {"JOURNAL_STREAM": f"{found.st_dev}:{found.st_ino}"}
        self._text, self._json = io.StringIO(), io.StringIO()
        debug = LogOptions(level="debug")
        self._up.enter_context(setup.setup(debug, self._text, {}))
        self._up.enter_context(
            setup.setup(LogOptions(level="debug", format="json"), self._json, {})
        )
        self._up.enter_context(
            setup.setup(debug, self._stream, environ, journal=self._journal.path)
        )
        return self

    def __exit__(self, *_):
        (self.journal,) = self._journal.read()
        self.json = json.loads(self._json.getvalue())
        assert self.json.pop("TIME")
        self.text = self._text.getvalue()[9:].removesuffix("\n")
        assert self._stream.seek(0, os.SEEK_END) == 0  # nothing is said twice
        self._up.close()


def test_the_level_applies_to_the_journal(journal, tmp_path):
    stream, name = journal
    with FakeJournal(tmp_path / "socket") as fake:
        for form in ("text", "json"):
            environ = {"JOURNAL_STREAM": name}
            with setup.setup(LogOptions(format=form), stream, environ, journal=fake.path):
                OURS.info("x")
        assert fake.read() == []
    text, line = told(stream)
    assert text == "<6>x"
    assert line.startswith('<6>{"TIME": ')


def test_in_the_journal_lines_below_the_level_are_not_written_either(journal, tmp_path):
    stream, name = journal
    with FakeJournal(tmp_path / "socket") as fake:
        with setup.setup(LogOptions(), stream, {"JOURNAL_STREAM": name}, journal=fake.path):
            OURS.debug("x")
            logging.getLogger("aiohttp").warning("y")
        (record,) = fake.read()
    assert (record["MESSAGE"], record["LOGGER"]) == ("aiohttp: y", "aiohttp")
