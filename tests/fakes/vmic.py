"""A virtual sound card: ``vmic.c`` built into a folder of the test, and the levers to work it.

PortAudio reads ``ALSA_CONFIG_PATH`` when it is initialised, so only a new process with
``card.environment`` sees the card.
"""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import pytest

Format: TypeAlias = Literal["S16_LE", "S24_3LE", "S32_LE", "FLOAT_LE"]

SOURCE: Final = Path(__file__).parents[1] / "platform" / "vmic.c"
HEADER: Final = Path("/usr/include/alsa/pcm_external.h")
ALSA: Final = Path("/usr/share/alsa/alsa.conf")


@dataclass(frozen=True, slots=True)
class VirtualCard:
    """One card, named "vmic" and the default, that exists for processes with its environment."""

    folder: Path
    bytes_per_s: int = 32_000

    @property
    def environment(self) -> dict[str, str]:
        """Environment of a process that shall see this card and no other, and import what we do."""
        return {
            **os.environ,
            "ALSA_CONFIG_PATH": str(self.folder / "asound.conf"),
            "PYTHONPATH": os.pathsep.join(sys.path),
        }

    @property
    def played(self) -> Path:
        """Everything that was played, as raw PCM16 at the card's rate; missing until then."""
        return self.folder / "played.raw"

    def heard_at(self, byte: int) -> float:
        """Return when the card played this byte of ``played``, on the monotonic clock.

        For a card of format S16_LE.
        """
        lines = (self.folder / "starts").read_text().splitlines()
        starts = [tuple(map(int, line.split())) for line in lines]
        began_ns, first = max(start for start in starts if start[1] <= byte)
        return began_ns / 1e9 + (byte - first) / self.bytes_per_s

    @property
    def capture_began(self) -> float:
        """When the last capture of a card that is not shared began, in s of CLOCK_BOOTTIME."""
        return float((self.folder / "lock").read_text())

    def unplug(self) -> None:
        """Pull the card: streams fail, and it is no longer listed."""
        self._turn("gone")

    def stall(self) -> None:
        """Stop giving and taking samples, without a word."""
        self._turn("stall")

    def overrun(self) -> None:
        """Lose what is buffered, once."""
        self._turn("xrun")

    def occupy(self) -> None:
        """Let another program use the card: it cannot be opened."""
        self._turn("busy")

    def mute(self) -> None:
        """Work its mute switch: it gives zeros only."""
        self._turn("mute")

    def plug(self) -> None:
        (self.folder / "state").unlink(missing_ok=True)

    def renumber(self) -> None:
        """Have another card listed before this one, and a third after it."""
        others = "".join(
            f"pcm.{name} {{ type vmic  rate 16000  channels 1 }}\n" for name in ("avmic_", "zvmic_")
        )
        file = self.folder / "asound.conf"
        first, own = file.read_text().split("pcm.vmic {", 1)
        file.write_text(f"{first}{others}pcm.vmic {{{own}")

    def _turn(self, state: Literal["gone", "stall", "xrun", "busy", "mute"]) -> None:
        half = self.folder / "state.new"
        half.write_text(state)
        half.replace(self.folder / "state")


def missing_tools() -> str | None:
    """Say what this machine lacks to build the card, or None."""
    if shutil.which("gcc") is None:
        return "gcc is not installed"
    if not HEADER.exists() or not ALSA.exists():
        return "ALSA's headers are not installed: apt install libasound2-dev"
    return None


NEEDS_CARD: Final = [
    pytest.mark.long,  # sound in real time
    pytest.mark.skipif(missing_tools() is not None, reason=str(missing_tools())),
]
"""Marks of tests on the card."""


def encoded(sound: npt.NDArray[np.int16], sample_format: Format) -> bytes:
    """Write 16-bit samples as a card of another format would have them."""
    match sample_format:
        case "S16_LE":
            return sound.astype("<i2").tobytes()
        case "S24_3LE":
            wide = (sound.astype("<i4") << 8).reshape(-1, 1).view(np.uint8)
            return wide[:, :3].tobytes()
        case "S32_LE":
            return (sound.astype("<i4") << 16).tobytes()
        case "FLOAT_LE":
            return (sound / 32768).astype("<f4").tobytes()


def vmic(
    folder: Path,
    sound: npt.NDArray[np.int16],
    *,
    rate: int = 16_000,
    channels: int = 1,
    sample_format: Format = "S16_LE",
    shared: bool = False,
    swallow_ms: int = 0,
) -> VirtualCard:
    """Build a card in ``folder`` that hears ``sound``, shape (samples,) or (samples, channels).

    With ``shared``, several processes may capture at once, each from the beginning of ``sound``.
    The first ``swallow_ms`` of what is played after each opening are lost.
    """
    library = _build(folder)
    (folder / "in.raw").write_bytes(encoded(sound, sample_format))
    lock = "" if shared else f'  lock "{folder}/lock"'
    (folder / "asound.conf").write_text(
        f"<{ALSA}>\n"
        f'pcm_type.vmic {{ lib "{library}" }}\n'
        f'pcm.vmic {{ type vmic  file "{folder}/in.raw"  out "{folder}/played.raw"'
        f'  clock "{folder}/starts"  state "{folder}/state"  rate {rate}  channels {channels}'
        f'  format "{sample_format}"  swallow {swallow_ms}{lock} }}\n'
        'pcm.!default "vmic"\n'
        "ctl.!default { type null }\n"
    )
    return VirtualCard(folder, 2 * rate * channels)


def two_cards(folder: Path, *, ppm: int, rate: int = 48_000) -> VirtualCard:
    """Build a microphone "vmic", and a loudspeaker "vspeaker" whose clock is ``ppm`` faster.

    The microphone hears, at 16 kHz and from its first capture on, what is appended to ``in.raw``,
    and noise where that is not written yet.
    """
    library = _build(folder)
    (folder / "in.raw").touch()
    (folder / "asound.conf").write_text(
        f"<{ALSA}>\n"
        f'pcm_type.vmic {{ lib "{library}" }}\n'
        f'pcm.vmic {{ type vmic  file "{folder}/in.raw"  live true  lock "{folder}/lock" }}\n'
        f'pcm.vspeaker {{ type vmic  out "{folder}/played.raw"  clock "{folder}/starts"'
        f"  rate {rate}  channels 2  ppm {ppm} }}\n"
        'pcm.!default "vmic"\n'
        "ctl.!default { type null }\n"
    )
    return VirtualCard(folder, round(4 * rate * (1 + ppm * 1e-6)))


def _build(folder: Path) -> Path:
    """Build the plug-in of ALSA that is the cards."""
    library = folder / "libasound_module_pcm_vmic.so"
    subprocess.run(
        [
            *("gcc", "-shared", "-fPIC", "-DPIC", "-O1", "-Wall", "-Werror"),
            *("-o", library, SOURCE, "-lasound"),
        ],
        check=True,
    )
    return library
