"""Recorded exchanges: what two sides of a wire said to each other in one turn, line by line."""

import base64
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

FOLDER: Final = Path(__file__).parents[1] / "data" / "exchanges"

WIRES: Final = ("event_bus", "realtime_wav", "session_pcm", "voice_socketio", "voice_ws")

TIME: Final = "2026-01-01T00:00:00.000+00:00"
"""Stands for whatever time a frame of the server says."""


@dataclass(frozen=True, slots=True)
class Line:
    """One frame, or one event of Socket.IO."""

    sender: str
    """`client` or `server`."""
    said: Any
    """JSON, bytes, or text that is no JSON; of an event its name and payload."""


def load(wire: str) -> list[Line]:
    lines = (FOLDER / f"{wire}.jsonl").read_text().splitlines()
    return [_line(json.loads(line)) for line in lines]


def save(wire: str, lines: list[Line]) -> None:
    FOLDER.mkdir(exist_ok=True)
    text = "".join(json.dumps(_written(line)) + "\n" for line in lines)
    (FOLDER / f"{wire}.jsonl").write_text(text)


def timeless(said: Any) -> Any:
    """Return ``said`` with the server's own time made that of the recordings."""
    if isinstance(said, dict) and "timestamp" in said:
        return {**said, "timestamp": TIME}
    return said


def _line(written: dict[str, Any]) -> Line:
    if "binary" in written:
        return Line(written["from"], base64.b64decode(written["binary"]))
    return Line(written["from"], written["said"])


def _written(line: Line) -> dict[str, Any]:
    if isinstance(line.said, bytes):
        return {"from": line.sender, "binary": base64.b64encode(line.said).decode()}
    return {"from": line.sender, "said": line.said}
