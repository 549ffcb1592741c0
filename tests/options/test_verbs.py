"""What the command lines of both programs have in common: verbs, and words for people."""

import os
import shutil
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

import jarvis_backend.cli
import jarvis_ear.cli
from jarvis_ear import __version__
from jarvis_ear.options.option import shown
from jarvis_ear.options.verbs import plain, quoted, suggestion

PROGRAMS = {one.COMMAND_LINE.name: one for one in (jarvis_ear.cli, jarvis_backend.cli)}
BOTH = pytest.mark.parametrize("name", PROGRAMS)


@pytest.fixture(autouse=True)
def _nothing_configured(monkeypatch):
    for variable in list(os.environ):
        if variable.startswith("JARVIS_"):
            monkeypatch.delenv(variable)


@pytest.fixture
def output(capsys):
    """Run a command line that succeeds, and return what it prints."""

    def run(name, *argv):
        assert PROGRAMS[name].main(argv) == 0
        return capsys.readouterr().out

    return run


def paths_below(name, names=()):
    """Every verb of the tree, by its path."""
    for below in PROGRAMS[name].COMMAND_LINE.verb_at(names).verbs:
        yield (*names, below)
        yield from paths_below(name, (*names, below))


@BOTH
def test_help_is_short_and_lists_the_verbs(name, output):
    assert {output(name, each) for each in ("version", "--version", "-V")} == {
        f"{name} {__version__}\n"
    }
    (text,) = {output(name, each) for each in ("--help", "-h", "help")}
    assert text.startswith(f"usage: {name} ")
    assert all(f"\n  {verb} " in text for verb in PROGRAMS[name].VERBS)
    assert len(text.splitlines()) < 46


@pytest.mark.parametrize(
    ("name", "names"),
    [(name, names) for name in PROGRAMS for names in paths_below(name)],
    ids=lambda value: value if isinstance(value, str) else " ".join(value),
)
def test_every_verb_has_help_with_options_exit_codes_and_an_example(name, names, output):
    text = output(name, *names, "--help")
    verb = PROGRAMS[name].COMMAND_LINE.verb_at(names)
    assert text.startswith(f"usage: {name} {' '.join(names)}")
    assert all(
        flag.name in text and flag.meaning in text for flag in verb.listed_flags if flag.meaning
    )
    assert f"\nexample:\n  {verb.example}\n" in text
    assert f"{name} {names[0]}" in verb.example
    assert verb.verbs or "\nexit status:\n  0 " in text
    assert all(f"\n  {number:<4} " in text for number in verb.statuses)
    assert max(map(len, text.splitlines())) <= 90


@BOTH
@pytest.mark.parametrize("argv", ["run --help-all", "--help-all", "help --help-all"])
def test_the_whole_help_has_every_option_but_the_secrets(name, argv, output):
    text = output(name, *argv.split())
    schema = PROGRAMS[name].COMMAND_LINE.schema()
    assert all(f"{flag}" in text for option in schema.options for flag in option.flags)
    secrets = [f"--{option.key.replace('_', '-')}" for option in schema.secrets]
    assert [flag for flag in secrets if f"{flag} " in text or f"{flag}\n" in text] == []


@BOTH
@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_completion_is_valid_and_has_every_verb_and_every_option(name, shell, output):
    text = output(name, "completion", shell)
    line = PROGRAMS[name].COMMAND_LINE
    verbs = [line.verb_at(names) for names in paths_below(name)]
    flags = {flag.name for verb in verbs for flag in verb.flags if flag.meaning}
    flags |= {*line.schema().by_flag, "--help-all"}
    mark = "-l {}" if shell == "fish" else "--{}"
    assert [flag for flag in flags if mark.format(flag.removeprefix("--")) not in text] == []
    assert all(f"/{'/'.join(names)}" in text for names in paths_below(name))
    secrets = [mark.format(one.key.replace("_", "-")) for one in line.schema().secrets]
    assert [flag for flag in secrets if f"{flag} " in text or f"{flag}:" in text] == []
    if shutil.which(shell):
        done = subprocess.run([shell, "-n"], input=text, text=True, capture_output=True, check=True)
        assert done.stderr == ""


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (True, "true"),
        (7, "7"),
        (0.5, "0.5"),
        pytest.param(16**5000, "a very large number", id="huge"),
        ({"a": 1}, "a table"),
        ([1], "a list"),
        (None, "nothing"),
        ("x\ny", r'"x\ny"'),
        ("größe", '"größe"'),
        ("\udcff", r'"\udcff"'),
        ("\u202e", r'"\u202e"'),
    ],
)
def test_a_value_is_shown_on_one_line(value, text):
    assert shown(value) == text


@given(st.text())
def test_any_text_fits_on_a_line(text):
    assert quoted("a" * 100) == f'"{"a" * 60}..."'
    for words in (shown(text), plain(text)):
        assert words
        assert words.isprintable()
        assert len(words) < 800


KNOWN = ["hearing.wake.threshold", "hearing.wake.patience", "backend.url", "log.level"]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("hearing.wake.treshold", "; did you mean hearing.wake.threshold?"),
        ("threshold", "; did you mean hearing.wake.threshold?"),
        ("microphone.patience", "; did you mean hearing.wake.patience?"),
        ("patiense", "; did you mean hearing.wake.patience?"),
        ("backend.ulr", "; did you mean backend.url?"),
        ("elephant", ""),
    ],
)
def test_the_name_that_was_meant_is_suggested(name, words):
    assert suggestion(name, KNOWN) == words
