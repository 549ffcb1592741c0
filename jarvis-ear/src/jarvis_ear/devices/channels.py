"""Channels: how a device with several of them becomes one."""

from typing import Final

import numpy as np
import numpy.typing as npt

from jarvis_ear.audio.wav import mix
from jarvis_ear.devices.device import Device
from jarvis_ear.errors import MicrophoneLost

MIX: Final = "mix"
"""The choice that takes the mean of all channels."""

MOST: Final = 8
"""A device that claims more is a sound server; it mixes by itself when asked for one channel."""


def count_for(choice: str, device: Device) -> int:
    """Return how many channels to record so that ``choice`` is among them."""
    if choice == MIX:
        return device.inputs if device.inputs <= MOST else 1
    if int(choice) >= device.inputs:
        noun = "channel" if device.inputs == 1 else "channels"
        raise MicrophoneLost(
            f"{device.name}: has {device.inputs} {noun}, the first is 0; channel {choice} is wanted"
        )
    return int(choice) + 1


def choose(data: bytes, count: int, choice: str) -> npt.NDArray[np.int16]:
    """Make one channel of interleaved PCM16 with ``count`` of them."""
    sound = np.frombuffer(data, "<i2").reshape(-1, count)
    if choice == MIX:
        return mix(sound)
    return sound[:, int(choice)]
