"""How many channels of a device have to be recorded."""

from typing import Final

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
