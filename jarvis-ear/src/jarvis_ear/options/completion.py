"""Completion: scripts for bash, zsh and fish, generated from the tree of verbs and the options.

The words before the cursor lead to a place in the tree, such as ``/service/install``. If the last
of them is an option that takes a value, it determines what is offered; otherwise the place does.
"""

import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple, TypeAlias

from jarvis_ear.options.option import Option
from jarvis_ear.options.verbs import CommandLine, Flag, Verb

ANY: Final = "text"
FILE: Final = "FILE"
FOLDER: Final = "DIR"


class Word(NamedTuple):
    """What can be typed at a place: a verb, an option, or a word that a verb takes."""

    name: str
    meaning: str
    takes: str = ""
    """For an option: empty (no value), ANY, FILE, FOLDER, or its values with spaces between."""


Places: TypeAlias = Mapping[str, Sequence[Word]]
"""What can be typed, by the place in the tree."""


def completion(program: CommandLine, shell: str) -> str:
    """Return the script for ``shell``, one of the keys of ``SHELLS``."""
    return SHELLS[shell](program.name, dict(_places(program, program.root, "")))


def _places(program: CommandLine, verb: Verb, place: str) -> Iterator[tuple[str, list[Word]]]:
    words = [Word(name, below.meaning) for name, below in verb.verbs.items()]
    words += [Word(word, "") for word in verb.words]
    words += [_of_flag(flag) for flag in verb.listed_flags if flag.meaning]
    is_default = verb is program.root and program.default_verb
    if verb.is_configured or is_default:
        schema = program.schema()
        words += [_of_option(option, flag) for flag, option in schema.by_flag.items()]
        words.append(Word("--help-all", "Show all options."))
    words.append(Word("--help", "Show the options of this verb."))
    if verb is program.root:
        words.append(Word("--version", "Print the version."))
    yield place, words
    for name, below in verb.verbs.items():
        yield from _places(program, below, f"{place}/{name}")


def _of_flag(flag: Flag) -> Word:
    is_path = flag.value in ("", FILE, FOLDER)
    return Word(flag.name, flag.meaning, flag.value if is_path else ANY)


def _of_option(option: Option, flag: str) -> Word:
    meaning = option.meaning.replace("`", "").partition(". ")[0]
    takes = " ".join(option.choices) or (FILE if option.names_file else ANY)
    if option.kind is bool:
        takes = ""
    elif option.kind is Path and option.name.endswith("dir"):
        takes = FOLDER
    return Word(flag, meaning, takes)


def _by_value(places: Places) -> dict[str, list[str]]:
    """Return the options that take the same values, by these."""
    found: dict[str, dict[str, None]] = {}
    for words in places.values():
        for word in words:
            if word.takes:
                found.setdefault(word.takes, {})[word.name] = None
    return {takes: list(names) for takes, names in found.items()}


def _function(program: str) -> str:
    return "_" + program.replace("-", "_")


def _known(places: Places, separator: str) -> str:
    return separator.join(place for place in places if place)


def _bash(program: str, places: Places) -> str:
    function = _function(program)
    branches = ((" ".join(word.name for word in words), [place]) for place, words in places.items())
    return f"""\
# bash completion of {program}: source <({program} completion bash)
{function}() {{
    local at="" word words="" before=${{COMP_WORDS[COMP_CWORD-1]}} now=${{COMP_WORDS[COMP_CWORD]}}
    COMPREPLY=()
    for word in "${{COMP_WORDS[@]:1:COMP_CWORD-1}}"; do
        case "$at/$word" in
            {_known(places, "|")}) at+="/$word" ;;
        esac
    done
    case "$before" in
{_cases(_by_value(places).items(), _bash_value)}
        *) case "$at" in
{_cases(branches, _bash_words)}
        esac ;;
    esac
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$now")
}}
complete -F {function} {program}
"""


def _cases(branches: Iterable[tuple[str, list[str]]], does: Callable[[str], str]) -> str:
    return "\n".join(
        f"        {'|'.join(name or chr(34) * 2 for name in names)}) {does(what)} ;;"
        for what, names in branches
    )


def _bash_words(words: str) -> str:
    return f"words={shlex.quote(words)}"


def _bash_value(takes: str) -> str:
    files = 'compopt -o filenames; mapfile -t COMPREPLY < <(compgen {} -- "$now"); return'
    known = {ANY: "return", FILE: files.format("-f"), FOLDER: files.format("-d")}
    return known.get(takes) or _bash_words(takes)


def _zsh(program: str, places: Places) -> str:
    function = _function(program)
    branches = (
        (" ".join(shlex.quote(f"{word.name}:{word.meaning}") for word in words), [place])
        for place, words in places.items()
    )
    return f"""\
#compdef {program}
# zsh completion of {program}: source <({program} completion zsh), or a file _{program} in $fpath
{function}() {{
    local at="" word
    local -a found
    for word in "${{(@)words[2,CURRENT-1]}}"; do
        case "$at/$word" in
            {_known(places, "|")}) at+="/$word" ;;
        esac
    done
    case "${{words[CURRENT-1]}}" in
{_cases(_by_value(places).items(), _zsh_value)}
    esac
    case "$at" in
{_cases(branches, lambda words: f"found=({words})")}
    esac
    _describe {program} found
}}
if [[ "${{funcstack[1]}}" == _{program} ]]; then
    {function} "$@"
else
    compdef {function} {program}
fi
"""


def _zsh_value(takes: str) -> str:
    known = {ANY: "_message value", FILE: "_files", FOLDER: "_files -/"}
    return f"{known.get(takes, f'compadd -- {takes}')}; return"


def _fish(program: str, places: Places) -> str:
    at = f"_{_function(program)}_at"
    listed = "\n".join(
        f"complete -c {program} -n '{at} \"{place}\"' {_fish_word(word)}"
        for place, words in places.items()
        for word in words
    )
    return f"""\
# fish completion of {program}: {program} completion fish | source
function {at}
    set -l at ""
    set -l words (commandline -opc)
    set -e words[1]
    for word in $words
        switch "$at/$word"
            case {_known(places, " ")}
                set at "$at/$word"
        end
    end
    test "$at" = "$argv[1]"
end
complete -c {program} -f
{listed}
"""


def _fish_word(word: Word) -> str:
    about = f" -d {_fish_quoted(word.meaning)}" if word.meaning else ""
    if not word.name.startswith("--"):
        return f"-a {word.name}{about}"
    values = {"": "", ANY: " -x", FILE: " -r -F", FOLDER: " -x -a '(__fish_complete_directories)'"}
    value = values.get(word.takes, f" -x -a {_fish_quoted(word.takes)}")
    return f"-l {word.name.removeprefix('--')}{value}{about}"


def _fish_quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


SHELLS: Final[Mapping[str, Callable[[str, Places], str]]] = {
    "bash": _bash,
    "zsh": _zsh,
    "fish": _fish,
}
