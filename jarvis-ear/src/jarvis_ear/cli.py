"""The command line of the ear: what each verb of ``verb_tree`` does.

The console script enters here. Only `run` imports the ear itself; a verb imports what it needs.
"""

import os
import signal

_on_interrupt = signal.getsignal(signal.SIGINT)
if _on_interrupt is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C among the imports is no traceback

import json
import re
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn, TypeAlias

from jarvis_ear import __version__, paths
from jarvis_ear.control.client import ASK_S, SAY_S, ask, require_report
from jarvis_ear.control.report_text import describe
from jarvis_ear.errors import InputError, JarvisEarError, RemoteProtocolError
from jarvis_ear.options.verbs import (
    CommandLine,
    UsageError,
    Verb,
    VerbPath,
    exit_at_once,
    open_missing_streams,
    plain,
    print_text,
    quoted,
    terminal_width,
)
from jarvis_ear.process import forbid_dumps, save_memory
from jarvis_ear.verb_tree import VERBS

if TYPE_CHECKING:
    from jarvis_ear.config import Config
    from jarvis_ear.options.option import Schema
    from jarvis_ear.schema import Loaded

if _on_interrupt is signal.default_int_handler:
    signal.signal(signal.SIGINT, _on_interrupt)

Run: TypeAlias = Callable[["Loaded"], int]
"""What `run` does with the options."""

DEAF: Final = 1
"""Exit status of `status`: the ear is muted, or has no microphone."""

MAX_TEXT: Final = 2000
"""Letters of a text to say; the same as in ``control.commands``."""

MAX_SOUND: Final = 8 * 1024 * 1024
"""Bytes of a sound file; the same as in ``control.commands``."""

SOUND_FILES: Final = (".wav", ".mp3", ".ogg", ".opus", ".flac")
"""Endings by which what is to be said is a file, even if there is none of that name."""

LOUDEST: Final = 100
"""Per cent; the same as ``wires.messages.LOUDEST``, whose module loads more than a verb needs."""

NOT_RUNNING: Final = 2
"""Exit status of `status`, of the mute verbs and of others that ask an ear: none is running."""

REFUSALS: Final = (DEAF, 66, 69, 75, 76, 77)
"""Exit statuses that an ear may ask for when it cannot carry out a command."""

_NOT_STORED: Final = (
    "a restart will reset this, because it cannot be stored: see the log of the ear"
)


def _schema() -> "Schema[Config]":
    from jarvis_ear.schema import SCHEMA  # noqa: PLC0415 - loads pydantic

    return SCHEMA


COMMAND_LINE: Final = CommandLine(
    "jarvis-ear",
    __version__,
    Verb("Always-on room microphone for a voice assistant.", verbs=VERBS),
    """\
The password is never an argument: it comes from JARVIS_PASSWORD, from the credential
jarvis-password, or from a file (--backend.password-file).""",
    _schema,
)


def program(run: Run | None = None) -> NoReturn:
    """Run the command line, then end the process at once."""
    open_missing_streams()
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # before a verb imports onnxruntime
    forbid_dumps()  # password, token and the sound of the room
    exit_at_once(main(run=run))


def main(argv: Sequence[str] | None = None, *, run: Run | None = None) -> int:
    """Carry out the command line and return the exit status.

    ``run`` is the verb run; by default that of the composition root, imported when it is needed.
    """
    words = sys.argv[1:] if argv is None else argv
    return COMMAND_LINE.main(words, partial(_do, run=run), _tell_journal)


def _tell_journal(error: Exception) -> bool:
    """Log the error that ends the program if standard error is the journal."""
    if "JOURNAL_STREAM" not in os.environ:
        return False
    from jarvis_ear.log.setup import log_final_error  # noqa: PLC0415 - loads pydantic, for a service only

    return log_final_error(error)


def _do(names: VerbPath, words: list[str], *, run: Run | None) -> int:
    if COMMAND_LINE.verb_at(names).is_configured:
        return _configured(names[0], words, run)
    given = COMMAND_LINE.parse(names, _joined(words) if names == ("mute",) else words)
    match names:
        case ("service", verb):
            from jarvis_ear.service import command  # noqa: PLC0415 - for this verb only

            return command.main(verb, given)
        case ("events", verb):
            from jarvis_ear.wake_ledger.command import events  # noqa: PLC0415 - for this verb only

            return events(verb, given, play=_play)
        case ("turns", verb):
            from jarvis_ear.turn_trace.command import turns  # noqa: PLC0415 - for this verb only

            return turns(verb, given)
        case ("devices",):
            return print_text(_devices())
    return _ask_ear(names[0], given)


def _ask_ear(verb: str, given: Mapping[str, Any]) -> int:
    match verb:
        case "status":
            return _status(as_json="json" in given)
        case "metrics":
            return _metrics()
        case "volume":
            return _volume(given.get("value"))
        case "mute":
            return _mute(given.get("value"))
        case "say":
            return _say(given.get("value"))
    return _command(verb)


def _configured(verb: str, words: list[str], run: Run | None) -> int:
    """Carry out a verb that takes the options of the configuration."""
    if verb in ("replay", "calibrate"):
        return _heard_again(verb, words)
    if verb == "wyoming":
        words = ["--backend.protocol", "wyoming", *words]
    given, words = COMMAND_LINE.own_words((verb,), words)
    if verb in ("monitor", "doctor"):
        return _lazily_configured(verb, given, words)
    loaded = COMMAND_LINE.load(words)
    match verb:
        case "mic-check":
            from jarvis_ear.mic_check.command import mic_check  # noqa: PLC0415 - loads the models

            return mic_check(loaded.config, given)
        case "check":
            from jarvis_ear.check import check  # noqa: PLC0415 - loads the network, for this only

            return print_text(check(loaded))
        case "console":
            from jarvis_ear.console.command import console  # noqa: PLC0415 - loads a web server

            return console(loaded.config.console.port, is_opened="open" in given)
    return (run or _composition_root())(loaded)


def _lazily_configured(verb: str, given: Mapping[str, Any], words: list[str]) -> int:
    """Carry out a verb that also works with mistaken options, or without any."""
    load, as_json = partial(COMMAND_LINE.load, words), "json" in given
    if verb == "doctor":
        from jarvis_ear.doctor.command import doctor  # noqa: PLC0415 - for this verb only

        return doctor(load, as_json_line=as_json, bundle_file=given.get("bundle"))
    from jarvis_ear.monitor.command import monitor  # noqa: PLC0415 - loads rich

    file = given.get("value") or ""
    if not (file or words or sys.stdout.isatty()) and _ask("status") is None:
        return NOT_RUNNING  # a screen waits for an ear; who reads a pipe would wait for ever
    return monitor(file, words, lambda: load().config, as_json=as_json)


def _heard_again(verb: str, words: list[str]) -> int:
    """Carry out a verb that processes recordings, and also has its own options."""
    given, others = COMMAND_LINE.own_words((verb,), words)
    options = COMMAND_LINE.load(others).config
    if verb == "replay":
        from jarvis_ear.replay.command import replay  # noqa: PLC0415 - loads the models

        return replay(given, given["values"], options.hearing)
    from jarvis_ear.calibration.command import calibrate  # noqa: PLC0415 - likewise
    from jarvis_ear.options.sources import read_command_line  # noqa: PLC0415 - loads pydantic

    schema = _schema()
    file = read_command_line(schema, others).values.get("config", schema.file)
    return calibrate(given, options, Path(str(file)))


def forbid_unneeded() -> None:
    """Keep libraries from loading what no ear uses; before the first of them is imported.

    6 MiB of redis for servers of python-socketio, another client of WebSockets, 3 MiB with which
    requests guesses the encoding of a text, and the certificate authorities of the system, 2 MiB
    and 40 ms, for a context of aiohttp that is never used: every link has its own ``TrustStore``.
    """
    save_memory(at_start=True)
    for name in ("redis", "websocket", "charset_normalizer", "chardet"):
        sys.modules.setdefault(name, None)  # type: ignore[arg-type]  # None forbids the import
    warnings.filterwarnings("ignore", "Unable to find acceptable character detection")
    chosen = os.environ.get("SSL_CERT_FILE")
    os.environ["SSL_CERT_FILE"] = os.devnull
    try:
        import aiohttp  # noqa: F401, PLC0415 - loads the network, for the verb run only
    finally:
        del os.environ["SSL_CERT_FILE"]
        if chosen is not None:
            os.environ["SSL_CERT_FILE"] = chosen


def _composition_root() -> Run:
    forbid_unneeded()
    from jarvis_ear.__main__ import run  # noqa: PLC0415 - loads the ear, for the verb run only

    return run


def _devices() -> str:
    from jarvis_ear.devices.portaudio_process import for_input  # noqa: PLC0415 - for this only
    from jarvis_ear.devices.selection import describe  # noqa: PLC0415 - likewise

    return describe(for_input())


def _status(*, as_json: bool) -> int:
    report = _ask("status")
    if report is None:
        return NOT_RUNNING
    require_report(report)
    print_text(json.dumps(report) + "\n" if as_json else describe(report, terminal_width()))
    return 0 if report["hearing"] else DEAF


def _joined(words: list[str]) -> list[str]:
    """Return the words of the verb mute, in which "until 07:30" is one value."""
    return [" ".join(words)] if words[:1] == ["until"] else words


def _mute(time: str | None) -> int:
    """Mute the running ear, for a time or until it is unmuted."""
    if time is None:
        return _command("mute")
    from datetime import datetime  # noqa: PLC0415 - for this verb only

    from jarvis_ear.mute import mute_seconds  # noqa: PLC0415 - likewise

    try:
        return _command(f"mute {mute_seconds(time, datetime.now())}")  # noqa: DTZ005 - on the wall
    except ValueError as error:
        raise UsageError(f"mute: {quoted(time)}: {error}") from None


def _metrics() -> int:
    """Print the numbers of the running ear for Prometheus."""
    match answer := _ask("metrics"):
        case None:
            return NOT_RUNNING
        case {"metrics": str(text)}:
            return print_text(text)
    return _refused(answer, "metrics")


def _command(word: str) -> int:
    """Send a command to the running ear and print the result."""
    answer = _ask(word)
    if answer is None:
        return NOT_RUNNING
    match answer:
        case {"muted_by": list(by), "stored": bool(stored)} if all(
            isinstance(one, str) for one in by
        ):
            return _confirm(word, by, str(answer.get("muted_until", "")), stored=stored)
    return _refused(answer, word)


def _refused(answer: Mapping[str, Any], word: str) -> int:
    """Return the exit status that the ear asks for; or raise ``RemoteProtocolError``."""
    match answer:
        case {"error": str(why), "status": int(status)} if status in REFUSALS:
            COMMAND_LINE.complain(why)
            return status
        case {"error": str(why)}:
            raise RemoteProtocolError(
                f"the running ear does not carry out {word}, is it another version? {why}"
            )
    raise RemoteProtocolError(f"the running ear does not say whether it carried out {word}")


def _confirm(word: str, muted_by: Sequence[str], until: str, *, stored: bool) -> int:
    if word in ("stop", "hush", "listen"):
        return 0
    if not stored:
        COMMAND_LINE.complain(_NOT_STORED)
    by = ", ".join(muted_by)
    return print_text(f"muted by the {by}{until and f' until {until}'}\n" if by else "not muted\n")


def _say(what: str | None) -> int:
    """Have the running ear say a text, or play a sound file."""
    if what is None and sys.stdin.isatty():
        raise UsageError("say: expected a text or a sound file")
    text = sys.stdin.read(MAX_TEXT + 1) if what in (None, "-") else what or ""
    if what is not None and _is_file(what):
        answer = _ask("say-sound", _sound(what))
    elif not text.strip() or len(text) > MAX_TEXT:
        raise UsageError(f"say: {len(text)} letters: expected a text of 1 to {MAX_TEXT}")
    else:
        answer = _ask("say-text", text.encode(errors="replace"), SAY_S)
    return NOT_RUNNING if answer is None else _said(answer)


def _said(answer: Mapping[str, Any]) -> int:
    """Return the exit status for the ear's answer about a sound or a text."""
    return 0 if answer.get("said") is True else _refused(answer, "say")


def _is_file(what: str) -> bool:
    try:
        return what.lower().endswith(SOUND_FILES) or Path(what).is_file()
    except (OSError, ValueError):  # too long for a name, for example
        return False


def _sound(path: str) -> bytes:
    """Return the content of a sound file: the ear, which has other rights, is given no name."""
    try:
        with Path(path).open("rb") as file:
            audio = file.read(MAX_SOUND + 1)
    except OSError as error:
        raise InputError(f"{plain(path)} cannot be read: {error.strerror}") from error
    if not 0 < len(audio) <= MAX_SOUND:
        raise InputError(f"{plain(path)} is empty or too long, expected 1 to {MAX_SOUND} bytes")
    return audio


def _play(audio: bytes) -> int:
    """Have the running ear play a sound file; without one, play it here."""
    answer = _find_ear("say-sound", audio)
    if answer is not None:
        return _said(answer)
    from jarvis_ear.wake_ledger.command import play_here  # noqa: PLC0415 - for this verb only

    play_here(COMMAND_LINE.load([]).config.speaker, audio)
    return 0


def _volume(number: str | None) -> int:
    """Show the volume of the running ear, or set it."""
    if number is not None and not (re.fullmatch("[0-9]{1,3}", number) and int(number) <= LOUDEST):
        raise UsageError(f"volume: {quoted(number)}: expected a whole number from 0 to {LOUDEST}")
    answer = _ask("volume" if number is None else f"volume {int(number)}")
    if answer is None:
        return NOT_RUNNING
    match answer:
        case {"volume": int(percent), "stored": bool(stored)}:
            if not stored:
                COMMAND_LINE.complain(_NOT_STORED)
            return print_text(f"volume: {percent} %\n")
    return _refused(answer, "volume")


def _ask(word: str, body: bytes = b"", wait_s: float = ASK_S) -> dict[str, Any] | None:
    """Send a command to the running ear; None, and a message, if no ear is running."""
    answer = _find_ear(word, body, wait_s)
    if answer is None:
        COMMAND_LINE.complain("no ear is running (for this user)")
    return answer


def _find_ear(word: str, body: bytes = b"", wait_s: float = ASK_S) -> dict[str, Any] | None:
    """Send a command to the running ear; None if no ear is running."""
    try:
        return ask(paths.sockets(os.environ), word, body, wait_s)
    except OSError as error:
        raise JarvisEarError(f"the running ear cannot be asked: {error}") from error
