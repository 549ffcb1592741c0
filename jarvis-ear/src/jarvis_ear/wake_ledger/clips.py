"""Clips: the files of the wake ledger. Imports nothing heavy, because a verb uses it too."""

import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from types import NoneType
from typing import Any, Final, Self

from jarvis_ear.errors import InputError
from jarvis_ear.paths import PrivateFolder, find_state

FOLDER: Final = "wake-ledger"
"""Name of the folder of the clips, in the state folder."""

WAKE: Final = "wake"
NEAR_MISS: Final = "near_miss"
"""The kinds of clips: the ear woke, or nearly."""

NO_CLIPS: Final = "there are no clips: hearing.wake_ledger.enabled stores some"
"""Error of a verb that needs clips."""

MAX_RECORD: Final = 4096
"""Bytes of a record; one has about three hundred."""

MAX_WAV: Final = 1024 * 1024
"""Bytes of a sound file; one of 3 s has 96 044."""

_FILE: Final = re.compile(r"([0-9a-f]{8})\.(wav|json)(\.new)?")


@dataclass(frozen=True, slots=True)
class Clip:
    """The record of one clip, without its sound."""

    id: str
    """Eight hexadecimal digits; for a wake, the id of its turn."""
    kind: str
    time: str
    """When the score was reached: ISO 8601, UTC."""
    score: float
    """Score of the wake model, 0 ... 1: the one that decided, or the best one."""
    threshold: float
    """The threshold at that time."""
    word: str
    """The name of the wake word."""
    level_dbfs: float | None
    noise_floor_dbfs: float | None
    clipped_percent: float | None
    """How loud the word was, and in which noise; None: not measured."""
    seconds: float
    """Length of the sound: 3 s before the score, and 1 s after it."""
    label: bool | None = None
    """Whether it really was the wake word, as the owner says; None: not labelled."""

    @property
    def began_at(self) -> float:
        """The time in seconds since 1970."""
        return datetime.fromisoformat(self.time).timestamp()

    def as_json(self) -> dict[str, Any]:
        """Return the record as JSON; its names are stable."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: object) -> Self:
        """Read a record, or raise ``ValueError``."""
        if not isinstance(value, dict) or not _is_record(value):
            raise ValueError("expected the record of a clip")
        if datetime.fromisoformat(value["time"]).tzinfo is None:
            raise ValueError(f"{value['time']}: expected a time with its zone")
        return cls(**value)


_TYPES: Final[Mapping[str, tuple[type, ...]]] = {
    **dict.fromkeys(("id", "kind", "time", "word"), (str,)),
    **dict.fromkeys(("score", "threshold", "seconds"), (int, float)),
    **dict.fromkeys(("level_dbfs", "noise_floor_dbfs", "clipped_percent"), (int, float, NoneType)),
    "label": (bool, NoneType),
}


def _is_record(value: Mapping[str, object]) -> bool:
    known = value.keys() == _TYPES.keys()
    return known and all(isinstance(value[name], types) for name, types in _TYPES.items())


def iso_time(at: float) -> str:
    """Return seconds since 1970 as a clip has them."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")


class ClipFolder:
    """A private folder of clips: ``ID.wav`` and ``ID.json`` for each. Used by one thread at a time.

    A clip exists as soon as its record does, which is written last and replaced atomically. Others
    may label or remove clips meanwhile. Methods raise ``OSError``.
    """

    def __init__(self, path: Path) -> None:
        """Create the folder if necessary, mode 0700."""
        self.path = path
        self._folder = PrivateFolder(path)

    def close(self) -> None:
        """Close the folder."""
        self._folder.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def all(self) -> list[Clip]:
        """Return the clips, oldest first. Records that cannot be read are left out."""
        found = []
        for name in self._folder.names():
            if (match := _FILE.fullmatch(name)) and match[2] == "json" and not match[3]:
                with suppress(OSError, ValueError, RecursionError):
                    clip = Clip.from_json(json.loads(self._folder.read(name, MAX_RECORD)))
                    if clip.id == match[1]:
                        found.append(clip)
        return sorted(found, key=lambda clip: clip.began_at)

    def find(self, beginning: str) -> Clip:
        """Return the only clip whose id begins so, or raise ``InputError``."""
        found = [clip for clip in self.all() if beginning and clip.id.startswith(beginning)]
        if len(found) != 1:
            count = f"{len(found)} clips" if found else "no clip"
            raise InputError(f"{count} with the id {beginning[:8]!r}: see jarvis-ear events list")
        return found[0]

    def wav(self, clip: Clip) -> bytes:
        """Return its sound as a WAV file."""
        return self._folder.read(f"{clip.id}.wav", MAX_WAV)

    def add(self, clip: Clip, wav: bytes) -> None:
        """Write a clip; after an error, nothing of it is left."""
        try:
            self._replace(f"{clip.id}.wav", wav)
            self._write_record(clip)
        except OSError:
            with suppress(OSError):
                self.remove(clip.id)
            raise

    def label(self, clip: Clip, value: bool) -> None:
        """Note whether a clip really holds the wake word."""
        self._write_record(replace(clip, label=value))

    def remove(self, clip_id: str) -> None:
        """Remove a clip, if it exists; its record goes first."""
        for ending in ("json", "json.new", "wav", "wav.new"):
            self._folder.remove(f"{clip_id}.{ending}")

    def remove_torn(self) -> None:
        """Remove what a killed writer left behind: sound without a record, and unfinished files."""
        complete = {clip.id for clip in self.all()}
        for name in self._folder.names():
            if (match := _FILE.fullmatch(name)) and (match[3] or match[1] not in complete):
                self._folder.remove(name)

    def purge(self) -> int:
        """Remove every clip, and return how many there were."""
        count = len(self.all())
        for name in self._folder.names():
            if _FILE.fullmatch(name):
                self._folder.remove(name)
        return count

    def _write_record(self, clip: Clip) -> None:
        self._replace(f"{clip.id}.json", (json.dumps(clip.as_json()) + "\n").encode())

    def _replace(self, name: str, data: bytes) -> None:
        new = f"{name}.new"
        self._folder.remove(new)
        self._folder.append(new, data)
        self._folder.move(new, self._folder, name)


def find_folder() -> Path | None:
    """Return the first folder with clips, or None; raise ``PermissionError`` if it is another's."""
    return find_state(os.environ, FOLDER)


@contextmanager
def opened(path: Path) -> Iterator[ClipFolder]:
    """Open an existing folder; root acts as its owner, who must be able to read the files."""
    owner = path.stat().st_uid
    with ExitStack() as stack:
        if os.geteuid() == 0 and owner != 0:
            os.seteuid(owner)
            stack.callback(os.seteuid, 0)
        yield stack.enter_context(ClipFolder(path))


def listing(folder: Path | None, clips: list[Clip]) -> dict[str, Any]:
    """Return what ``events list --json`` prints; ``format`` changes if a name changes or goes."""
    place = None if folder is None else str(folder)
    return {"format": 1, "folder": place, "events": [clip.as_json() for clip in clips]}
