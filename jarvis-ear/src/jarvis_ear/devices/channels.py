"""Channels: how a device with several of them becomes one."""

import numpy as np
import numpy.typing as npt

from jarvis_ear.audio.wav import mix
from jarvis_ear.devices.channel_count import MIX


def choose(data: bytes, count: int, choice: str) -> npt.NDArray[np.int16]:
    """Make one channel of interleaved PCM16 with ``count`` of them."""
    sound = np.frombuffer(data, "<i2").reshape(-1, count)
    if choice == MIX:
        return mix(sound)
    return sound[:, int(choice)]
