import io
import json
import logging
import os
import re
import sys
from contextlib import contextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jarvis_ear.config import Log
from jarvis_ear.system import logs
from jarvis_ear.system.live import Live, NoLive
from jarvis_ear.system.log_format import harmless, redacted

OURS = logging.getLogger("jarvis_ear.somewhere")
TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJqYXJ2aXMifQ.c2lnbmF0dXJl-_x"


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@contextmanager
def written(log: Log | None = None, stream: io.StringIO | None = None, **environ: str):
    stream = io.StringIO() if stream is None else stream
    with logs.setup(log or Log(), stream, environ):
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
def test_the_level_is_written_where_it_is_not_the_usual_one(level, word):
    with written(Log(level="debug")) as stream:
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
def test_colours_can_be_refused(environ):
    with written(stream=Terminal(), **environ) as stream:
        OURS.error("x")
    assert "\x1b[31m" not in stream.getvalue()


def test_a_no_color_that_is_empty_refuses_nothing():
    with written(stream=Terminal(), TERM="xterm", NO_COLOR="") as stream:
        OURS.error("x")
    assert "\x1b[31m" in stream.getvalue()


def test_lines_below_the_level_are_not_written():
    with written(Log(level="warning")) as stream:
        OURS.info("x")
        OURS.warning("y")
    assert len(lines(stream)) == 1


@pytest.mark.parametrize(
    "name", ["engineio.client", "socketio", "aiohttp.access", "urllib3", "asyncio", "else"]
)
def test_libraries_are_held_at_warning(name):
    with written(Log(level="debug")) as stream:
        logging.getLogger(name).info("every packet")
        logging.getLogger(name).warning("trouble")
    assert [line[9:] for line in lines(stream)] == [f"warning: {name}: trouble"]


def test_errors_only_means_libraries_too():
    with written(Log(level="error")) as stream:
        logging.getLogger("aiohttp").warning("trouble")
    assert stream.getvalue() == ""


def test_the_library_does_not_write_past_us():
    engineio = pytest.importorskip("engineio")
    with written():
        before = len(logging.getLogger("engineio.client").handlers)
        client = engineio.Client()
        assert len(client.logger.handlers) == before


def test_everything_is_as_before_afterwards():
    loggers = [logging.getLogger(name) for name in (None, "jarvis_ear", *logs.OTHERS)]
    before = [(logger.level, list(logger.handlers)) for logger in loggers]
    with pytest.raises(KeyError), written(Log(level="debug")):
        raise KeyError
    assert [(logger.level, list(logger.handlers)) for logger in loggers] == before


def test_the_line_break_in_a_message_makes_no_line():
    with written() as stream:
        OURS.info("understood %s", 'x\n<0>fake\r\x1b[2J\u2028\u202e"')
    assert lines(stream) == [
        f'{stream.getvalue()[:8]} understood x\\n<0>fake\\r\\x1b[2J\\u2028\\u202e"'
    ]


@given(st.text())
def test_harmless_text_is_one_printable_line(text):
    assert harmless(text).isprintable()
    assert harmless("größe " + text).startswith("größe ")


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
    stream.seek(0)
    return stream.read().splitlines()


def test_the_journal_gets_the_priority_and_no_time(journal):
    stream, name = journal
    with logs.setup(Log(level="debug"), stream, {"JOURNAL_STREAM": name}):
        OURS.debug("a")
        OURS.info("b")
        OURS.warning("c")
        OURS.error("d\n<6>e")
        OURS.critical("f")
        logging.getLogger("aiohttp").warning("g")
    assert told(stream) == ["<7>a", "<6>b", "<4>c", "<3>d\\n<6>e", "<2>f", "<4>aiohttp: g"]


def test_in_the_journal_every_line_of_a_traceback_has_its_priority(journal):
    stream, name = journal
    with logs.setup(Log(), stream, {"JOURNAL_STREAM": name}):
        divide()
    assert len(told(stream)) > 3
    assert all(line.startswith("<3>") for line in told(stream))


def test_json_in_the_journal_keeps_the_priority(journal):
    stream, name = journal
    with logs.setup(Log(format="json"), stream, {"JOURNAL_STREAM": name}):
        OURS.warning("x")
    (line,) = told(stream)
    assert json.loads(line.removeprefix("<4>"))["message"] == "x"


@pytest.mark.parametrize("name", ["", "1:2", "nonsense", "8:1:2"])
def test_another_stream_is_not_the_journal(journal, name):
    stream, _ = journal
    assert not logs.is_journal(stream, {"JOURNAL_STREAM": name})
    assert not logs.is_journal(stream, {})
    assert not logs.is_journal(io.StringIO(), {"JOURNAL_STREAM": name})


def test_json_has_the_fields():
    with written(Log(format="json")) as stream:
        OURS.info(
            "sent %d", 3, extra={"TURN_ID": "7f3a", "LATENCY_SENT_MS": 812, "WAKE_SCORE": 0.97}
        )
    (line,) = map(json.loads, lines(stream))
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00", line.pop("ts"))
    assert line == {
        "level": "info",
        "logger": "jarvis_ear.somewhere",
        "message": "sent 3",
        "TURN_ID": "7f3a",
        "LATENCY_SENT_MS": 812,
        "WAKE_SCORE": 0.97,
    }


def test_json_keeps_a_traceback_on_its_line():
    with written(Log(format="json")) as stream:
        divide()
    (line,) = map(json.loads, lines(stream))
    assert line["traceback"].endswith("ZeroDivisionError: division by zero")


def test_json_takes_any_value_and_any_text():
    with written(Log(format="json")) as stream:
        OURS.info("\udcff ü", extra={"THING": {1, 2}})
    (line,) = map(json.loads, lines(stream))
    assert line["message"] == "\\udcff ü"
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
def test_tokens_and_sound_are_taken_out(text, clean):
    assert redacted(text) == clean
    with written() as stream:
        logging.getLogger("socketio.client").warning("%s", text)
    assert lines(stream)[0].endswith(clean)


@pytest.mark.parametrize("form", ["text", "json"])
def test_tokens_in_a_traceback_are_taken_out(form):
    with written(Log(format=form)) as stream:
        try:
            int(TOKEN)
        except ValueError:
            logging.getLogger("engineio.client").exception("lost")
    assert TOKEN not in stream.getvalue()
    assert "[token]" in stream.getvalue()


def test_a_library_that_formats_badly_harms_nobody(capsys, monkeypatch):
    monkeypatch.setattr(logging.getLogger(), "handlers", [])  # pytest's own would raise
    with written() as stream:
        logging.getLogger("aiohttp").warning("%d", "no number")
    assert stream.getvalue() == ""
    assert "Logging error" in capsys.readouterr().err


def test_a_terminal_has_a_live_line_and_log_lines_stand_above_it():
    stream = Terminal()
    with logs.setup(Log(), stream, {"TERM": "xterm"}) as live:
        assert isinstance(live, Live)
        live.show("idle", -60, 0)
        OURS.info("heard")
    assert re.search(r"\r\x1b\[K\d\d:\d\d:\d\d heard\nidle [^\n]+\r\x1b\[K$", stream.getvalue())


@pytest.mark.parametrize(
    ("stream", "form", "term"),
    [(io.StringIO(), "auto", "xterm"), (Terminal(), "json", "xterm"), (Terminal(), "text", "dumb")],
)
def test_elsewhere_there_is_no_live_line(stream, form, term):
    with logs.setup(Log(format=form), stream, {"TERM": term}) as live:
        assert isinstance(live, NoLive)
        live.show("idle", -60, 0)
    assert stream.getvalue() == ""


def test_lines_go_to_standard_error_unless_told_otherwise(capsys):
    with logs.setup(Log()):
        OURS.info("heard")
    out, err = capsys.readouterr()
    assert (out, err[9:]) == ("", "heard\n")
    assert sys.stderr is not None
