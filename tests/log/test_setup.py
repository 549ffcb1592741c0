import io
import json
import logging
import re
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jarvis_ear.config import LogOptions
from jarvis_ear.journal.kind import FIELDS, OF_EVERY_RECORD
from jarvis_ear.log import setup
from jarvis_ear.log.redact import escaped, redacted

OURS = logging.getLogger("jarvis_ear.somewhere")
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


@pytest.mark.parametrize(
    ("environ", "is_coloured"),
    [
        ({"TERM": "xterm", "NO_COLOR": ""}, True),
        ({"TERM": "xterm", "NO_COLOR": "1"}, False),
        ({"TERM": "dumb"}, False),
        ({}, False),
    ],
)
def test_colours_can_be_turned_off(environ, is_coloured):
    with written(stream=Terminal(), **environ) as stream:
        OURS.error("x")
    assert ("\x1b[31m" in stream.getvalue()) is is_coloured


@pytest.mark.parametrize(
    "name", ["engineio.client", "socketio", "aiohttp.access", "urllib3", "asyncio", "else"]
)
def test_libraries_log_from_warning_on(name):
    with written(LogOptions(level="debug")) as stream:
        logging.getLogger(name).info("every packet")
        logging.getLogger(name).warning("trouble")
    assert [line[9:] for line in lines(stream)] == [f"warning: {name}: trouble"]


@pytest.mark.parametrize(
    ("level", "written_lines"), [("warning", ["warning: y", "warning: aiohttp: z"]), ("error", [])]
)
def test_lines_below_the_level_are_not_written(level, written_lines):
    with written(LogOptions(level=level)) as stream:
        OURS.info("x")
        OURS.warning("y")
        logging.getLogger("aiohttp").warning("z")
    assert [line[9:] for line in lines(stream)] == written_lines


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


def test_a_line_for_people_has_the_time_and_the_escaped_message():
    with written() as stream:
        OURS.info("heard %s", 'x\n<0>fake\r\x1b[2J\u2028\u202e"', extra={"TURN_ID": "7f3a"})
    (line,) = lines(stream)
    assert re.fullmatch(r"\d\d:\d\d:\d\d", line[:8])
    assert line[8:] == ' heard x\\n<0>fake\\r\\x1b[2J\\u2028\\u202e"'


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


def set_up(journal, *, has_socket=True, **log):
    """Log into a journal; without a socket for fields it takes lines only."""
    path = journal.path if has_socket else Path("/nonexistent/socket")
    return setup.setup(LogOptions(**log), journal.stream, journal.environ, journal=path)


def lines_of(journal) -> list[str]:
    journal.stream.seek(0)
    return journal.stream.read().splitlines()


def test_the_journal_gets_the_priority_and_no_time(journal):
    with set_up(journal, has_socket=False, level="debug"):
        OURS.debug("a")
        OURS.info("b")
        OURS.warning("c")
        OURS.error("d\n<6>e")
        OURS.critical("f")
        logging.getLogger("aiohttp").warning("g")
    assert lines_of(journal) == ["<7>a", "<6>b", "<4>c", "<3>d\\n<6>e", "<2>f", "<4>aiohttp: g"]


def test_in_the_journal_every_line_of_a_traceback_has_its_priority(journal):
    with set_up(journal, has_socket=False):
        divide()
    assert len(lines_of(journal)) > 3
    assert all(line.startswith("<3>") for line in lines_of(journal))


@pytest.mark.parametrize("name", ["", "1:2", "nonsense", "8:1:2"])
def test_another_stream_is_not_the_journal(journal, name):
    assert not setup.is_journal(journal.stream, {"JOURNAL_STREAM": name})
    assert not setup.is_journal(journal.stream, {})
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


@pytest.mark.parametrize(
    ("stream", "form", "term", "shown"),
    [
        (Terminal(), "auto", "xterm", r"\r\x1b\[K\d\d:\d\d:\d\d heard\nidle [^\n]+\r\x1b\[K"),
        (io.StringIO(), "auto", "xterm", r"\d\d:\d\d:\d\d heard\n"),
        (Terminal(), "json", "xterm", r"\{.*\}\n"),
        (Terminal(), "text", "dumb", r"\d\d:\d\d:\d\d heard\n"),
    ],
)
def test_a_terminal_has_a_status_line_below_the_log(stream, form, term, shown):
    with setup.setup(LogOptions(format=form), stream, {"TERM": term}) as line:
        line.show("idle", -60, 0)
        OURS.info("heard")
    assert re.search(rf"{shown}$", stream.getvalue())
    assert ("idle" in stream.getvalue()) is ("idle" in shown)


def test_lines_go_to_standard_error_by_default(capsys):
    with setup.setup(LogOptions()):
        OURS.info("heard")
    out, err = capsys.readouterr()
    assert (out, err[9:]) == ("", "heard\n")


LEVELS = st.sampled_from([logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR])
VALUES = st.none() | st.text() | st.integers() | st.floats() | st.booleans()


@given(
    LEVELS,
    st.text(),
    st.dictionaries(st.sampled_from(sorted({*FIELDS} - {*OF_EVERY_RECORD})), VALUES),
    st.booleans(),
)
def test_one_record_has_three_renderings(renderings, level, text, extra, is_bug):
    """The journal and the JSON line get the same fields; the text is MESSAGE with its level."""
    with TemporaryDirectory() as folder, renderings(Path(folder)) as seen:
        OURS.log(level, "%s", text, extra=extra, exc_info=ValueError(text) if is_bug else None)
    (record,), (line,) = seen.journal, seen.json
    assert line.pop("TIME")
    assert {name: str(value) for name, value in line.items()} == record
    first, _, rest = seen.text[9:].removesuffix("\n").partition("\n")
    word = "" if level == logging.INFO else f"{logging.getLevelName(level).lower()}: "
    assert first == f"{word}{record['MESSAGE']}"
    assert rest == record.get("EXCEPTION_TEXT", "")
    assert set(record) <= set(FIELDS)
    assert {name for name, value in extra.items() if value is not None} <= set(record)


def test_the_level_applies_to_the_journal(journal):
    for form in ("text", "json"):
        with set_up(journal, format=form):
            OURS.info("x")
    assert journal.read() == []
    text, line = lines_of(journal)
    assert text == "<6>x"
    assert line.startswith('<6>{"TIME": ')
    assert json.loads(line.removeprefix("<6>"))["MESSAGE"] == "x"


def test_in_the_journal_lines_below_the_level_are_not_written_either(journal):
    with set_up(journal):
        OURS.debug("x")
        logging.getLogger("aiohttp").warning("y")
    (record,) = journal.read()
    assert (record["MESSAGE"], record["LOGGER"]) == ("aiohttp: y", "aiohttp")


def test_the_level_changes_while_the_log_is_written(monkeypatch):
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    with written() as stream:
        for level in ("info", "debug", "warning"):
            setup.set_level(LogOptions(level=level))
            for number in (logging.DEBUG, logging.INFO, logging.WARNING):
                OURS.log(number, "%s of %s", number, level)
            logging.getLogger("urllib3").info("a packet")
    assert {line[9:] for line in lines(stream)} == {
        *("20 of info", "warning: 30 of info", "debug: 10 of debug", "20 of debug"),
        *("warning: 30 of debug", "warning: 30 of warning"),
    }
