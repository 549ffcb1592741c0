"""Print debian/jarvis-ear.1, from the tree of verbs. Its date is that of the page that is named."""

import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from jarvis_ear import __version__
from jarvis_ear.verbs import EX_USAGE, Verb, verb_at

HEAD = """\
.TH JARVIS-EAR 1 "{date}" "jarvis-ear {version}"
.SH NAME
jarvis-ear \\- always-on room microphone for a voice assistant
.SH SYNOPSIS
.B jarvis-ear
.I VERB
.RI [ OPTION " ...]"
.SH DESCRIPTION
The ear listens for "Hey Jarvis", records the utterance that follows, sends it to a backend and
plays the spoken reply. As a service it is run by
.BR "systemctl start jarvis-ear" .
.SH VERBS
"""

TAIL = f"""\
.SH EXIT STATUS
Besides the exit status of each verb: {EX_USAGE}, the command line cannot be understood; 70, a bug;
130, interrupted by Ctrl-C; 141, the reader of the output has gone.
.SH FILES
.TP
.I /etc/jarvis-ear/config.toml
Options.
.SH SEE ALSO
.BR systemctl (1),
.BR journalctl (1),
/usr/share/doc/jarvis-ear/operations.md
"""


def page(date: str) -> str:
    """Write the page."""
    verbs = "\n".join(line for names in _paths(()) for line in _entry(names, verb_at(names)))
    return f"{HEAD.format(date=date, version=__version__)}{verbs}\n{TAIL}"


def _paths(names: Sequence[str]) -> Iterator[tuple[str, ...]]:
    for name, verb in verb_at(names).verbs.items():
        path = (*names, name)
        if verb.verbs:
            yield from _paths(path)
        else:
            yield path


def _entry(names: Sequence[str], verb: Verb) -> Iterator[str]:
    words = [*names, *(["|".join(verb.words)] if verb.words else [])]
    yield ".TP"
    yield f".B {_escaped(' '.join(words))}"
    yield _escaped(f"{verb.meaning[:1].upper()}{verb.meaning[1:]}.")
    if verb.is_configured:
        yield "Takes the options of the configuration:"
        yield f".B {_escaped(f'jarvis-ear {names[0]} --help-all')}"
    for flag in verb.flags:
        yield ".RS\n.TP"
        yield f".B {_escaped(f'{flag.name} {flag.value}'.strip())}"
        yield f"{_escaped(flag.meaning)}\n.RE"
    statuses = [f"{number}, {meaning}" for number, meaning in sorted(verb.statuses.items())]
    yield f".IP\nExit status: {_escaped('; '.join(statuses))}."
    yield f".IP\nExample:\n.B {_escaped(verb.example)}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\e").replace("-", "\\-")


if __name__ == "__main__":
    found = re.search(r'^\.TH \S+ 1 "([\d-]+)"', Path(sys.argv[1]).read_text())
    sys.stdout.write(page(found[1] if found else ""))
