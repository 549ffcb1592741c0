"""Ledger: the verdict of every utterance, one line each."""

import json
import logging
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from jarvis_ear.delivery.events import Finished
from jarvis_ear.delivery.playback import judge
from jarvis_ear.journal.life import SPOOL_TROUBLE
from jarvis_ear.log.throttle import WARN_S, Throttle
from jarvis_ear.paths import PrivateFolder, json_objects

_LOGGER = logging.getLogger(__name__)

FILE: Final = "ledger.jsonl"
OLD_FILE: Final = "ledger.1.jsonl"

MAX_BYTES: Final = 1024 * 1024
"""About ten thousand utterances; the older file holds as many again."""

TAIL_BYTES: Final = 64 * 1024
"""Bytes read at a start: hundreds of lines more than there can be files in the spool."""

COMMITTED: Final = "committed"
"""Stands in place of a verdict if the spool could not record a commit."""


class Ledger:
    """Appends to a file of JSON lines: no sound and no text. The network thread only.

    At most two files of 1 MiB; the older one is dropped. Lines that cannot be written go to the
    journal instead (``unwritten``). Lines survive a killed process, not a power cut.
    """

    def __init__(self, folder: Path, clock: Callable[[], float]) -> None:
        self._path = folder
        self._folder: PrivateFolder | None = None
        self._clock = clock
        self._warnings = Throttle(WARN_S, WARN_S)
        self._separator = b""
        """Newline after a line that was perhaps cut short."""
        self.unwritten = 0
        """Lines that are in the journal only."""

    def verdict(self, finished: Finished) -> None:
        """Record the verdict of an utterance."""
        fields: dict[str, object] = {
            "verdict": str(finished.verdict),
            "cause": finished.code,
            "chunks": finished.chunks,
        }
        if finished.successor:
            fields["superseded_by"] = finished.successor
        if finished.away:
            fields["away"] = finished.away
        if finished.chunks == 0:  # else it is known after playback
            heard, why = judge(finished)
            fields |= {"heard": str(heard), "heard_reason": str(why)}
        self._write(finished.turn_id, fields)

    def heard(self, turn_id: str, heard: str, why: str) -> None:
        """Record how much of a reply was heard, and why not all of it, after its verdict."""
        self._write(turn_id, {"heard": str(heard), "heard_reason": str(why)})

    def committed(self, turn_id: str) -> bool:
        """Record a commit, and return whether that is on file."""
        return self._write(turn_id, {"stage": COMMITTED})

    def recorded(self) -> Mapping[str, str]:
        """Return the turns of the newest lines with their verdict or stage; skip invalid lines."""
        found: dict[str, str] = {}
        with suppress(OSError):  # reported when a write fails
            folder = self._open()
            for fields in json_objects(
                b"\n".join(_tail(folder, name) for name in (OLD_FILE, FILE))
            ):
                turn_id, end = fields.get("turn"), fields.get("verdict", fields.get("stage"))
                if isinstance(turn_id, str) and isinstance(end, str):
                    found[turn_id] = end
        return found

    def close(self) -> None:
        """Close the folder."""
        if self._folder is not None:
            self._folder.close()
            self._folder = None

    def _write(self, turn_id: str, fields: Mapping[str, object]) -> bool:
        line = {"time": datetime.now(UTC).isoformat(timespec="milliseconds"), "turn": turn_id}
        try:
            self._append((json.dumps({**line, **fields}) + "\n").encode())
        except OSError as error:
            self.unwritten += 1
            text = ", ".join(f"{key} {value}" for key, value in fields.items())
            _LOGGER.info(
                "ledger: turn %s: %s", json.dumps(turn_id), text, extra={"TURN_ID": turn_id}
            )
            if self._warnings.allows(self._clock()):
                reason = os_error_text(error)
                extra = SPOOL_TROUBLE.fields(PLACE=self._path, REASON=reason)
                text = "the ledger in %s cannot be written: %s"
                _LOGGER.warning(text, self._path, reason, extra=extra)
            return False
        return True

    def _append(self, line: bytes) -> None:
        separator, self._separator = self._separator, b"\n"
        folder = self._open()
        size = folder.append(FILE, separator + line)
        self._separator = b""
        if size > MAX_BYTES:
            folder.move(FILE, folder, OLD_FILE)

    def _open(self) -> PrivateFolder:
        if self._folder is None:
            self._folder = PrivateFolder(self._path)
        return self._folder


def _tail(folder: PrivateFolder, name: str) -> bytes:
    try:
        fd = folder.open(name, os.O_RDONLY)
    except OSError:
        return b""
    with os.fdopen(fd, "rb") as file:
        file.seek(max(0, os.fstat(file.fileno()).st_size - TAIL_BYTES))
        return file.read(TAIL_BYTES)


def os_error_text(error: OSError) -> str:
    """Return the system's text for an error."""
    return os.strerror(error.errno).lower() if error.errno else str(error)
