"""Bundle: an archive for a person who helps, made by allow-lists.

What is not on a list is left out: no password, token, key, sound or word, no name of a file or of a
person. Every text passes the redactor of the log, and whatever secret this process knows is masked
in it again.
"""

import importlib.metadata
import io
import json
import os
import platform
import re
import tarfile
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from pydantic import SecretStr

from jarvis_ear import __version__
from jarvis_ear.delivery import events, playback
from jarvis_ear.doctor.checks import CheckResult, as_json
from jarvis_ear.doctor.machine_checks import MANAGER
from jarvis_ear.errors import InputError, JarvisEarError
from jarvis_ear.hearing import events as hearing
from jarvis_ear.hearing import utterance
from jarvis_ear.journal import catalog, kind
from jarvis_ear.link.tls_and_tcp import address
from jarvis_ear.log.redact import escaped, redacted
from jarvis_ear.mute import BUS, CLOCK, OWNER
from jarvis_ear.options.load import DEFAULT
from jarvis_ear.options.option import Option, value_of
from jarvis_ear.paths import json_objects, read_regular, write_all
from jarvis_ear.schema import SCHEMA, Loaded
from jarvis_ear.service.probe import EAR, run

MODE: Final = 0o600

JOURNAL_LINES: Final = 500
"""Newest records of the journal: some hours of a busy ear."""

JOURNAL_S: Final = 20.0
"""Time-out of journalctl."""

MAX_UNIT_BYTES: Final = 64 * 1024
"""Far more than a unit file or a drop-in has."""

LEAST_SECRET: Final = 4
"""Letters from which a known secret is masked in every text: a shorter one would hit words."""

SHOWN_TEXTS: Final = frozenset(
    (
        *("microphone.device", "microphone.channel", "microphone.mute_between"),
        *("speaker.device", "bus.publish"),
    )
)
"""Options with free text that is shown: names of devices, not of people or files. The values of
numbers, switches and enumerations are shown as well."""

_DIGITS: Final = frozenset(
    (
        *("DEAF_MS", "AWAY_MS", "RETRY_MS", "LOST_MS", "CLIPPED_PERCENT", "NEAR_MISSES"),
        *("EXIT_STATUS", "WAKE_SCORE", "WAKE_SECOND_LOOK", "WAKE_VERIFIER", "LEVEL"),
        *("NOISE_FLOOR", "SPEECH_MS", "BYTES_RAW", "BYTES_WAV", "BYTES_BASE64", "REPLY_CHUNKS"),
        *("RESUMED", "SELF_ECHOES", "REFUSED", "BELOW_WAKE_WORD_DB", "DUCKED_MS"),
        *(name for name in kind.FIELDS if name.startswith("LATENCY_")),
        *("PRIORITY", "CODE_LINE", "RECORDS_LOST"),
    )
)
"""Fields of the journal that are numbers."""

_EVENTS: Final = frozenset(name for name in vars(hearing) if name[0].isupper())
_PARTY: Final = f"({OWNER}|{CLOCK}|{BUS})"

_WORDS: Final[Mapping[str, Collection[str]]] = {
    "EVENT": {each.event for each in catalog.KINDS},
    "MESSAGE_ID": {each.message_id for each in catalog.KINDS},
    "OUTCOME": {each.outcome for each in catalog.KINDS},
    "STATE": {str(state) for state in hearing.State},
    "CAUSE": {*map(str, events.Cause), *map(str, hearing.RefusalReason), *_EVENTS},
    "ENDED_BY": {str(reason) for reason in utterance.EndReason},
    "HEARD": {str(heard) for heard in playback.Heard},
    "HEARD_REASON": {str(why) for why in playback.Unheard},
}
"""Fields that are a word of ours, and all their words. MESSAGE is none: it may hold anything."""

_FORMS: Final[Mapping[str, re.Pattern[str]]] = {
    "TURN_ID": re.compile("[0-9a-f]{8}"),
    "MUTED_BY": re.compile(f"{_PARTY}(, {_PARTY})*"),
    "VERSION": re.compile(r"[0-9]{1,4}(\.[0-9]{1,4}){1,3}"),
    **dict.fromkeys(_DIGITS, re.compile(r"-?[0-9]{1,12}(\.[0-9]{1,9})?")),
}
"""Fields that are shown in this form only."""

_PATH: Final = re.compile(r"(^|[\s('\"=])/[^\s'\",;:)]*")
_REPORT_TEXTS: Final = frozenset(("state", "version", "near_miss_reason", "stuck", "muted_by"))

_UNIT_SETTINGS: Final = re.compile(
    "Type|NotifyAccess|WatchdogSec|Restart.*|StartLimit.*|TimeoutStopSec|User|Group|"
    "SupplementaryGroups|.*Directory.*|UMask|Protect.*|Private.*|Device.*|NoNewPrivileges|"
    "CapabilityBoundingSet|AmbientCapabilities|LockPersonality|MemoryDenyWriteExecute|Restrict.*|"
    "RemoveIPC|KeyringMode|SystemCall.*|IPAddress.*|Memory.*|CPU.*|Nice|After|Wants|Requires|"
    "WantedBy|Limit.*|OOM.*|Tasks.*|Delegate|ExecPaths|NoExecPaths"
)
"""Settings of a unit whose value is shown; of the others, only the name."""


def write_bundle(
    path: Path,
    results: Sequence[CheckResult],
    loaded: Loaded | None,
    report: Mapping[str, Any] | None,
    unit: Mapping[str, str] | None,
) -> list[str]:
    """Write the archive, for its owner only, and return the names of its members.

    Raises ``InputError`` if it cannot be written.
    """
    mask = Mask(_secrets(loaded))
    members = {
        "doctor.json": _line(page_of(results)),
        "versions.json": _line(versions()),
        "configuration.toml": "" if loaded is None else configuration(loaded),
        "status.json": "" if report is None else _line(report_of(report)),
        "journal.jsonl": "".join(map(_line, journal((unit or {}).get(MANAGER, "")))),
        "unit.txt": "".join(unit_lines(unit or {})),
    }
    texts = {name: mask(text) for name, text in members.items() if text}
    try:
        _write(path, texts)
    except OSError as error:
        raise InputError(f"the bundle cannot be written to {path}: {error.strerror}") from error
    return list(texts)


def _write(path: Path, texts: Mapping[str, str]) -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, text in texts.items():
            data = text.encode(errors="replace")
            member = tarfile.TarInfo(f"jarvis-ear/{name}")
            member.size, member.mode, member.mtime = len(data), MODE, int(time.time())
            archive.addfile(member, io.BytesIO(data))
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, MODE)
    try:
        os.fchmod(handle, MODE)  # of a file that existed
        write_all(handle, packed.getvalue())
    finally:
        os.close(handle)


def _line(value: object) -> str:
    return json.dumps(value) + "\n"


class Mask:
    """Replaces known secrets, the home folder and credentials in addresses. Immutable."""

    def __init__(self, secrets: Collection[str]) -> None:
        known = sorted((s for s in secrets if len(s) >= LEAST_SECRET), key=len, reverse=True)
        forms = [form for secret in known for form in (secret, json.dumps(secret)[1:-1])]
        self._known = re.compile("|".join(map(re.escape, forms))) if forms else None

    def __call__(self, text: str) -> str:
        """Return the text without them."""
        text = re.sub(r"://[^/\s\"@]*@", "://[secret]@", redacted(text))
        text = re.sub(r"/(home|root|Users)(/[^\s\"':,;)]*)?", "/[home]", text)
        return text if self._known is None else self._known.sub("[secret]", text)


def _secrets(loaded: Loaded | None) -> set[str]:
    """Return every secret that this process knows: those in force, and those of the environment."""
    found = {
        value
        for option in SCHEMA.secrets
        for value in (
            os.environ.get(option.variable, ""),
            os.environ.get(SCHEMA.shared_variables.get(option.key, ""), ""),
            "" if loaded is None else _secret(value_of(loaded.config, option.key)),
        )
    }
    default = {_secret(option.default) for option in SCHEMA.secrets}
    return found - default  # everybody knows it, and it is a word of ours


def _secret(value: object) -> str:
    return value.get_secret_value() if isinstance(value, SecretStr) else ""


def page_of(results: Sequence[CheckResult]) -> dict[str, Any]:
    """Return the page as JSON values; of a line that quotes the owner, only names of options."""
    page = as_json(results)
    for result, row in zip(results, page["checks"], strict=True):
        if result.quotes_owner:
            named = [key for key in SCHEMA.by_key if key in f"{result.text} {result.fix}"]
            row["text"] = f"concerns {', '.join(named) or 'an option or a folder'}"
        row["text"] = _PATH.sub(r"\1[path]", row["text"])
    return page


def versions() -> dict[str, str]:
    """Return the versions of program, system and packages."""
    found = {
        "jarvis-ear": __version__,
        "python": platform.python_version(),
        "machine": platform.machine(),
        "kernel": platform.release(),
        "libc": " ".join(platform.libc_ver()),
    }
    try:
        found["system"] = platform.freedesktop_os_release().get("PRETTY_NAME", "")
    except OSError:
        found["system"] = ""
    for name in ("aiohttp", "numpy", "onnxruntime", "openwakeword", "pydantic", "sounddevice"):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "missing"
    return found


def configuration(loaded: Loaded) -> str:
    """Return every option with its value if that may be shown, and the kind of its origin."""
    return "".join(
        f"{option.key} = {_shown(option, value_of(loaded.config, option.key))}  "
        f"# {_origin(loaded.origins[option.key])}\n"
        for option in SCHEMA.options
    )


def _shown(option: Option, value: object) -> str:
    if option.kind is SecretStr:
        return "(a secret)" if _secret(value) else "(not set)"
    if value in (None, "", ()):
        return "(not set)"
    if option.choices or option.kind in (bool, int, float) or option.key in SHOWN_TEXTS:
        return json.dumps(value)
    if option.name == "url" and isinstance(value, str):
        return json.dumps(address(value))  # without a path, which may hold a token
    return "(set)" if value != option.default else json.dumps(str(value))


def _origin(origin: str) -> str:
    """Return the kind of an origin, without the name of a file."""
    known = ("command line", "environment", "credential", DEFAULT)
    return next((each for each in known if origin.startswith(each)), "file")


def report_of(report: Mapping[str, Any]) -> dict[str, Any]:
    """Return the numbers and switches of a status, and its texts of known meaning."""
    return {
        name: value
        for name, value in report.items()
        if name in _REPORT_TEXTS
        or value is None
        or isinstance(value, bool | int | float)
        or (name == "counters" and isinstance(value, Mapping) and _are_numbers(value))
    }


def _are_numbers(counters: Mapping[str, Any]) -> bool:
    return all(isinstance(count, int) for count in counters.values())


def journal(manager: str) -> Iterator[dict[str, str]]:
    """Yield the newest records of the ear's unit, without their text; none without a journal."""
    unit = (*manager.split(), "-u", EAR, "-n", str(JOURNAL_LINES))
    argv = ("journalctl", *unit, "-o", "json", "--no-pager", "-q")
    try:
        done = run(argv, JOURNAL_S)
    except JarvisEarError:
        return
    yield from map(record_of, json_objects(done.stdout))


def record_of(record: Mapping[str, Any]) -> dict[str, str]:
    """Return the fields of a journal record that are numbers or words of ours."""
    at = record.get("__REALTIME_TIMESTAMP")
    found = {"at_us": at} if isinstance(at, str) and at.isdecimal() else {}
    for name, value in record.items():
        form = _FORMS.get(name)
        if isinstance(value, str) and (
            value in _WORDS.get(name, ()) or (form is not None and form.fullmatch(value))
        ):
            found[name] = value
    return found


def unit_lines(unit: Mapping[str, str]) -> Iterator[str]:
    """Yield the settings of the unit and its drop-ins; of those that may hold secrets, the name."""
    for path in (unit.get("FragmentPath", ""), *unit.get("DropInPaths", "").split()):
        if not path:
            continue
        yield f"# {Path(path).suffix or 'file'}\n"
        try:
            text = read_regular(Path(path), MAX_UNIT_BYTES, follow=True)[0].decode(errors="replace")
        except OSError as error:
            yield f"# cannot be read: {error.strerror}\n"
            continue
        yield from _settings(text)


def _settings(text: str) -> Iterator[str]:
    for line in text.replace("\\\n", " ").splitlines():
        if re.fullmatch(r"\[[A-Za-z-]+\]", line.strip()):
            yield f"{line.strip()}\n"
        elif setting := re.fullmatch(r"\s*([A-Za-z]+)\s*=(.*)", line):
            name, value = setting.groups()
            is_shown = _UNIT_SETTINGS.fullmatch(name) is not None
            yield f"{name}={escaped(value) if is_shown else '(not shown)'}\n"
