"""Diagnosis of sound devices: the kernel's cards, programs that hold them, faults and monitors."""

import os
import re
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from jarvis_ear.devices.sound_library import Device

PROC: Final = Path("/proc")
"""Where the kernel lists cards and processes."""

_CARD: Final = re.compile(r"^ *(\d+) \[(\S+) *\]: (.*)$", re.MULTILINE)
_OWNER: Final = re.compile(r"^owner_pid *: (\d+)$", re.MULTILINE)
_PROGRAM: Final = re.compile(r"^Tgid:\s*(\d+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class SoundCard:
    """One sound card."""

    number: int
    """Position in the kernel's list: the 1 in "hw:1,0". Not stable."""
    id: str
    """Stable id: the X in "hw:CARD=X"."""
    name: str
    """Name that the card reports."""


@dataclass(frozen=True, slots=True)
class Holder:
    """A program that records from a card."""

    card: SoundCard
    pid: int
    program: str

    def __str__(self) -> str:
        return f"hw:CARD={self.card.id} is held by {self.program} (pid {self.pid})"


class SoundCards:
    """Reads the kernel's list of cards. Keeps no file open; any thread may call it."""

    def __init__(self, proc: Path = PROC) -> None:
        self._proc = proc

    def all(self) -> tuple[SoundCard, ...]:
        """Return all cards, including those used by other programs."""
        found = _CARD.findall(_text(self._proc / "asound" / "cards"))
        return tuple(SoundCard(int(number), card_id, name) for number, card_id, name in found)

    def numbered(self, card_id: str) -> int | None:
        """Return the number of the card with this id, ignoring case, or None."""
        wanted = card_id.casefold()
        return next((card.number for card in self.all() if card.id.casefold() == wanted), None)

    def holders(self) -> tuple[Holder, ...]:
        """Return the other programs that are recording now."""
        found = [
            self._holder(card, int(owner[1]))
            for card in self.all()
            for status in sorted(self._proc.glob(f"asound/card{card.number}/pcm*c/sub*/status"))
            if (owner := _OWNER.search(_text(status)))
        ]
        return tuple(holder for holder in found if holder.pid != os.getpid())

    def _holder(self, card: SoundCard, thread: int) -> Holder:
        program = _PROGRAM.search(_text(self._proc / str(thread) / "status"))
        pid = int(program[1]) if program else thread
        name = _text(self._proc / str(pid) / "comm").strip()
        return Holder(card, pid, name or "a program of another user")


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:  # the kernel has no sound, or the entry has just disappeared
        return ""


SND: Final = Path("/dev/snd")
"""Device files of the sound cards, one per direction and card."""


def diagnose(
    cards: SoundCards,
    *,
    snd: Path = SND,
    accessible: Callable[[Path], bool] = lambda path: os.access(path, os.R_OK | os.W_OK),
) -> tuple[str, str]:
    """Return the first thing that is missing, as part of a sentence, and its remedy."""
    files = sorted(snd.glob("pcm*")) if snd.is_dir() else []
    if not files:
        return (
            f"the kernel shows no sound card (no pcm devices in {snd})",
            "Plug one in; in a virtual machine or container, pass one through.",
        )
    closed = [file.name for file in files if not accessible(file)]
    if closed:
        return (
            f"this user may not use the sound card ({', '.join(closed)})",
            "Add it to the group audio: usermod -aG audio USER, and log in again.",
        )
    if held := cards.holders():
        return "another program uses it", "\n".join(f"{holder}." for holder in held)
    return "there are sound cards, but PortAudio cannot open them", "Perhaps another program does."


SERVERS: Final = ("pulse", "pipewire")
"""Names of ALSA's plug-ins for sound servers."""

ANSWER_S: Final = 1.0
"""A server answers within milliseconds; without an answer its default source is unknown."""


def is_monitor(name: str) -> bool:
    """Whether a name or description is that of a monitor of PulseAudio or PipeWire."""
    return name.casefold().startswith("monitor of ") or name.casefold().endswith(".monitor")


def marked(devices: Sequence[Device], source: Callable[[], str]) -> tuple[Device, ...]:
    """Mark the monitors among ``devices``.

    ``source`` returns the default source of a sound server; it is called once, if there is one.
    """
    servers = [one for one in devices if one.name in SERVERS and one.inputs]
    if not servers or not is_monitor(source()):
        servers = []
    return tuple(
        one._replace(monitor=one.inputs > 0 and (is_monitor(one.name) or _leads_to(servers, one)))
        for one in devices
    )


def source_of_server(environ: Mapping[str, str] = os.environ) -> str:
    """Return the name of the sound server's default source; empty if unknown."""
    if chosen := environ.get("PULSE_SOURCE"):
        return chosen
    # Our PULSE_CLIENTCONFIG names a file that only this process can open.
    plain = {name: value for name, value in environ.items() if name != "PULSE_CLIENTCONFIG"}
    try:
        done = subprocess.run(
            ["pactl", "info"],  # noqa: S607 - wherever it is installed
            env={**plain, "LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=ANSWER_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):  # it is not installed, or does not answer
        return ""
    found = re.search(r"^Default Source: (.+)$", done.stdout, re.MULTILINE)
    return found[1] if found else ""


def _leads_to(servers: Sequence[Device], one: Device) -> bool:
    """Whether it is one of ``servers``, or ALSA's default with as many channels as one of them."""
    return one in servers or (one.name == "default" and one.inputs in {s.inputs for s in servers})
