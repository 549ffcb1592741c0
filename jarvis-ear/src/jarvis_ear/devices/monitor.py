"""Monitor: which source of sound is no microphone, but what a loudspeaker plays.

PulseAudio and PipeWire offer one for every loudspeaker, and make it the default source where there
is no microphone. Through ALSA's plug-in for them it has no name of its own ("default", "pulse"):
only the server can say which source is meant.
"""

import os
import re
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from jarvis_ear.devices.device import Device

SERVERS: Final = ("pulse", "pipewire")
"""What ALSA's plug-ins for sound servers are named."""

ANSWER_S: Final = 1.0
"""A server answers within some milliseconds; without it, nothing is known of its default."""


def is_monitor(name: str) -> bool:
    """Whether this is what PulseAudio and PipeWire call a monitor, by its name or description."""
    return name.casefold().startswith("monitor of ") or name.casefold().endswith(".monitor")


def marked(devices: Sequence[Device], source: Callable[[], str]) -> tuple[Device, ...]:
    """Mark the monitors among ``devices``.

    ``source`` names the source that a sound server gives; it is called once, if there is a server.
    """
    servers = [one for one in devices if one.name in SERVERS and one.inputs]
    if not servers or not is_monitor(source()):
        servers = []
    return tuple(
        replace(one, monitor=one.inputs > 0 and (is_monitor(one.name) or _leads_to(servers, one)))
        for one in devices
    )


def source_of_server(environ: Mapping[str, str] = os.environ) -> str:
    """Name the source that the sound server gives to whoever asks for none; empty: unknown."""
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
    except (OSError, subprocess.TimeoutExpired):  # it is not installed, or nobody answers
        return ""
    found = re.search(r"^Default Source: (.+)$", done.stdout, re.MULTILINE)
    return found[1] if found else ""


def _leads_to(servers: Sequence[Device], one: Device) -> bool:
    """Whether it is one of them, or the default of ALSA and has as many channels as one of them."""
    return one in servers or (one.name == "default" and one.inputs in {s.inputs for s in servers})
