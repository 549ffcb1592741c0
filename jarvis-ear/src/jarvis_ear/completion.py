"""Completion: scripts for bash, zsh and fish, made from the tree of verbs and the options.

All three work alike: the words before the cursor lead to a place in the tree, ``/service/install``.
The word before the cursor decides if it is an option that takes a value, else the place does.
"""

import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple, TypeAlias

from jarvis_ear.options.option import OPTIONS, TEXT_PATHS, Option
from jarvis_ear.options.sources import CONFIG_FLAG
from jarvis_ear.verbs import ROOT, Flag, Verb

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


def completion(shell: str) -> str:
    """Write the script for ``shell``, one of the keys of ``SHELLS``."""
    return SHELLS[shell](dict(_places(ROOT, "")))


def _places(verb: Verb, place: str) -> Iterator[tuple[str, list[Word]]]:
    words = [Word(name, below.meaning) for name, below in verb.verbs.items()]
    words += [Word(word, "") for word in verb.words]
    words += map(_of_flag, verb.flags)
    if verb.is_configured:
        words += [_of_option(option, flag) for option in OPTIONS for flag in option.flags]
        words.append(Word(CONFIG_FLAG, "Read this file.", FILE))
        words.append(Word("--help-all", "Show all options."))
    words.append(Word("--help", "Show the options of this verb."))
    if verb is ROOT:
        words.append(Word("--version", "Print the version."))
    yield place, words
    for name, below in verb.verbs.items():
        yield from _places(below, f"{place}/{name}")


def _of_flag(flag: Flag) -> Word:
    return Word(flag.name, flag.meaning, flag.value)


def _of_option(option: Option, flag: str) -> Word:
    meaning = " ".join(option.meaning.replace("`", "").split()).partition(". ")[0]
    if option.kind is bool:
        return Word(flag, meaning)
    if option.choices:
        return Word(flag, meaning, " ".join(option.choices))
    if option.kind is not Path:
        return Word(flag, meaning, FILE if option.key in TEXT_PATHS else ANY)
    return Word(flag, meaning, FOLDER if option.name.endswith("dir") else FILE)


def _by_value(places: Places) -> dict[str, list[str]]:
    """Return the options that take the same values, by these."""
    found: dict[str, dict[str, None]] = {}
    for words in places.values():
        for word in words:
            if word.takes:
                found.setdefault(word.takes, {})[word.name] = None
    return {takes: list(names) for takes, names in found.items()}


def _known(places: Places, separator: str) -> str:
    return separator.join(place for place in places if place)


def _bash(places: Places) -> str:
    return f"""\
# bash completion of jarvis-ear: source <(jarvis-ear completion bash)
_jarvis_ear() {{
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
{_cases(((_names(words), [place]) for place, words in places.items()), _bash_words)}
        esac ;;
    esac
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$now")
}}
complete -F _jarvis_ear jarvis-ear
"""


def _cases(branches: Iterable[tuple[str, list[str]]], does: Callable[[str], str]) -> str:
    return "\n".join(
        f"        {'|'.join(name or chr(34) * 2 for name in names)}) {does(what)} ;;"
        for what, names in branches
    )


def _names(words: Sequence[Word]) -> str:
    return " ".join(word.name for word in words)


def _bash_words(words: str) -> str:
    return f"words={shlex.quote(words)}"


def _bash_value(takes: str) -> str:
    if takes == ANY:
        return "return"
    if takes in (FILE, FOLDER):
        kind = "-f" if takes == FILE else "-d"
        files = f'mapfile -t COMPREPLY < <(compgen {kind} -- "$now")'
        return f"compopt -o filenames; {files}; return"
    return _bash_words(takes)


def _zsh(places: Places) -> str:
    branches = ((_zsh_list(words), [place]) for place, words in places.items())
    return f"""\
#compdef jarvis-ear
# zsh completion of jarvis-ear: source <(jarvis-ear completion zsh), or a file _jarvis-ear in $fpath
_jarvis_ear() {{
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
    _describe jarvis-ear found
}}
if [[ "${{funcstack[1]}}" == _jarvis-ear ]]; then
    _jarvis_ear "$@"
else
    compdef _jarvis_ear jarvis-ear
fi
"""


def _zsh_list(words: Sequence[Word]) -> str:
    return " ".join(shlex.quote(f"{word.name}:{word.meaning}") for word in words)


def _zsh_value(takes: str) -> str:
    if takes == ANY:
        return "_message value; return"
    if takes in (FILE, FOLDER):
        return f"_files{' -/' if takes == FOLDER else ''}; return"
    return f"compadd -- {takes}; return"


def _fish(places: Places) -> str:
    lines = (_fish_line(place, word) for place, words in places.items() for word in words)
    listed = "\n".join(lines)
    return f"""\
# fish completion of jarvis-ear: jarvis-ear completion fish | source
function __jarvis_ear_at
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
complete -c jarvis-ear -f
{listed}
"""


def _fish_line(place: str, word: Word) -> str:
    condition = f"""complete -c jarvis-ear -n '__jarvis_ear_at "{place}"'"""
    about = f" -d {_fish_quoted(word.meaning)}" if word.meaning else ""
    if not word.name.startswith("--"):
        return f"{condition} -a {word.name}{about}"
    values = {"": "", ANY: " -x", FILE: " -r -F", FOLDER: " -x -a '(__fish_complete_directories)'"}
    value = values.get(word.takes, f" -x -a {_fish_quoted(word.takes)}")
    return f"{condition} -l {word.name.removeprefix('--')}{value}{about}"


def _fish_quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


SHELLS: Final[Mapping[str, Callable[[Places], str]]] = {"bash": _bash, "zsh": _zsh, "fish": _fish}
