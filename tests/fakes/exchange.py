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
    lines = [json.loads(line) for line in (FOLDER / f"{wire}.jsonl").read_text().splitlines()]
    return [
        Line(line["from"], line["said"] if "said" in line else base64.b64decode(line["binary"]))
        for line in lines
    ]


def save(wire: str, lines: list[Line]) -> None:
    FOLDER.mkdir(exist_ok=True)
    with (FOLDER / f"{wire}.jsonl").open("w") as file:
        for line in lines:
            said: dict[str, Any] = {"said": line.said}
            if isinstance(line.said, bytes):
                said = {"binary": base64.b64encode(line.said).decode()}
            file.write(json.dumps({"from": line.sender, **said}) + "\n")


def timeless(said: Any) -> Any:
    """Return ``said`` with the server's own time made that of the recordings."""
    if isinstance(said, dict) and "timestamp" in said:
        return {**said, "timestamp": TIME}
    return said
