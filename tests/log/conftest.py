"""What the tests of the log share: a journal, and one log in three formats."""

import io
import json
import os
from contextlib import contextmanager, nullcontext
from types import SimpleNamespace

import pytest

from fakes.journal import FakeJournal
from jarvis_ear.config import LogOptions
from jarvis_ear.log.setup import setup


@contextmanager
def open_journal(folder):
    """A journal, with a stream that leads to it and the environment that says so."""
    with FakeJournal(folder / "socket") as journal, (folder / "stream").open("w+") as stream:
        found = os.fstat(stream.fileno())
        journal.stream = stream
        journal.environ = {"JOURNAL_STREAM": f"{found.st_dev}:{found.st_ino}"}
        yield journal


@pytest.fixture
def journal(tmp_path):
    with open_journal(tmp_path) as journal:
        yield journal


@pytest.fixture(scope="session")
def renderings():
    """Set up the log at level debug as text, as JSON lines and for a journal."""

    @contextmanager
    def render(folder, *, is_burst=False):
        text, lines, seen = io.StringIO(), io.StringIO(), SimpleNamespace()
        debug, as_json = LogOptions(level="debug"), LogOptions(level="debug", format="json")
        with (
            open_journal(folder) as journal,
            journal.keep_up() if is_burst else nullcontext([]) as records,
            setup(debug, text, {}),
            setup(as_json, lines, {}),
            setup(debug, journal.stream, journal.environ, journal=journal.path),
        ):
            yield seen
            records.extend(journal.read())
            assert journal.stream.seek(0, os.SEEK_END) == 0  # nothing is written twice
        seen.text, seen.journal = text.getvalue(), records
        seen.json = [json.loads(line) for line in lines.getvalue().splitlines()]

    return render
