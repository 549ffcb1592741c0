"""Print a man page, generated from the verbs and options of a program: man_page.py man/NAME.1.

The date is that of the existing page.
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import jarvis_backend.cli
import jarvis_ear.cli
from jarvis_ear.options.option import Option, Schema, shown
from jarvis_ear.options.render import placeholder
from jarvis_ear.options.verbs import EX_USAGE, CommandLine, VerbPath

PROGRAMS: Final = {
    one.name: one for one in (jarvis_ear.cli.COMMAND_LINE, jarvis_backend.cli.COMMAND_LINE)
}

DESCRIPTIONS: Final = {
    "jarvis-ear": """\
The ear listens for "Hey Jarvis", records the utterance that follows, sends it to a backend and
plays the spoken reply.""",
    "jarvis-backend": """\
The backend recognises the utterances that satellites send, answers them and speaks the answers.""",
}

TAIL: Final = f"""\
.SH EXIT STATUS
Besides the exit status of each verb: {EX_USAGE}, the command line cannot be understood; 70, a bug;
130, interrupted by Ctrl-C; 141, the reader of the output has gone.
.SH SEE ALSO
.BR jarvis-ear (1),
.BR jarvis-backend (1),
.BR systemctl (1),
.BR journalctl (1),
/usr/share/doc/jarvis-ear/operations.md
"""


def page(program: CommandLine, date: str) -> str:
    """Return the man page."""
    return "\n".join(
        [
            f'.TH {program.name.upper()} 1 "{date}" "{program.name} {program.version}"',
            f".SH NAME\n{_escaped(program.name)} \\- {_name(program)}",
            f".SH SYNOPSIS\n.B {_escaped(program.name)}",
            '.RI [ VERB "] [" OPTION " ...]"'
            if program.default_verb
            else '.I VERB\n.RI [ OPTION " ...]"',
            f".SH DESCRIPTION\n{DESCRIPTIONS[program.name]}",
            f'As a service it is run by\n.BR "systemctl start {program.name}" .',
            ".SH VERBS",
            *(line for names in _paths(program, ()) for line in _verb(program, names)),
            ".SH OPTIONS OF THE CONFIGURATION",
            *(
                line
                for option in program.schema().options
                for line in _option(program.schema(), option)
            ),
            *_files(program.schema()),
            TAIL,
        ]
    )


def _name(program: CommandLine) -> str:
    meaning = program.root.meaning.removesuffix(".")
    return meaning[:1].lower() + meaning[1:]


def _paths(program: CommandLine, names: VerbPath) -> Iterator[VerbPath]:
    for name, verb in program.verb_at(names).verbs.items():
        path = (*names, name)
        if verb.verbs:
            yield from _paths(program, path)
        else:
            yield path


def _verb(program: CommandLine, names: VerbPath) -> Iterator[str]:
    verb = program.verb_at(names)
    words = [*names, *verb.needs, *(["|".join(verb.words)] if verb.words else [])]
    words += [f"[{verb.value}]"] if verb.value else []
    words += [f"[{verb.values} ...]"] if verb.values else []
    yield f".TP\n.B {_escaped(' '.join(words))}"
    yield _escaped(f"{verb.meaning[:1].upper()}{verb.meaning[1:]}.")
    if verb.is_configured:
        yield "Takes the options of the configuration."
    for flag in verb.flags:
        if flag.meaning:
            yield f".RS\n.TP\n.B {_escaped(f'{flag.name} {flag.value}'.strip())}"
            yield f"{_escaped(flag.meaning)}\n.RE"
    statuses = [f"{number}, {meaning}" for number, meaning in sorted(verb.statuses.items())]
    yield f".IP\nExit status: {_escaped('; '.join(statuses))}."
    yield f".IP\nExample:\n.B {_escaped(verb.example)}"


def _option(schema: Schema[Any], option: Option) -> Iterator[str]:
    names = [f"{flag}{placeholder(schema, option)}" for flag in option.flags] or [option.variable]
    yield f".TP\n.B {_escaped(', '.join(names))}"
    yield _escaped(option.meaning.replace("`", ""))
    if option.flags:
        usual = "none" if option.default in (None, "", ()) else shown(option.default)
        yield _escaped(f"({option.expected}; {usual})")


def _files(schema: Schema[Any]) -> Iterator[str]:
    if schema.file:
        yield f".SH FILES\n.TP\n.I {schema.file}\nOptions."
    if own := schema.user_file_text:
        yield f".TP\n.I {own}\nOptions of a user; read instead of the other, if it exists."


def _escaped(text: str) -> str:
    escaped = text.replace("\\", "\\e").replace("-", "\\-")
    return f"\\&{escaped}" if escaped.startswith((".", "'")) else escaped


if __name__ == "__main__":
    path = Path(sys.argv[1])
    found = re.search(r'^\.TH \S+ 1 "([\d-]+)"', path.read_text()) if path.exists() else None
    sys.stdout.write(page(PROGRAMS[path.stem], found[1] if found else "2026-11-27"))
