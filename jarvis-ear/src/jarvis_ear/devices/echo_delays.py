"""Echo delays: the time from each loudspeaker to the microphone, stored across restarts."""

import json
import logging
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple

from jarvis_ear.audio.echo_delay import MOST_DELAY
from jarvis_ear.paths import read_object, write_whole
from jarvis_ear.units import samples

_LOGGER = logging.getLogger(__name__)

FILE: Final = "echo-delays.json"

MAX_BYTES: Final = 16_384
"""More than a hundred devices."""

MAX_DEVICES: Final = 64
"""Pairs of devices that are kept; the oldest is dropped."""

NEWS: Final = samples(2)
"""Change of a delay that is worth a write."""

MOST_DRIFT: Final = 1e-3
"""Ten times that of the worst quartz: a larger drift is a mistake in the file."""


class StoredDelay(NamedTuple):
    """From the loudspeaker to the microphone, in samples of the microphone."""

    samples: float
    drift: float
    """Samples by which it grows with each sample."""


class EchoDelays:
    """The delays of pairs of loudspeaker and microphone. Owned by the main thread.

    ``devices`` names the pair in use. ``look`` stores its delay if that is new. A file that cannot
    be read costs a warning; the delay is then found again in the first second of the next reply.
    """

    def __init__(self, folder: Path, devices: str) -> None:
        self._path = folder / FILE
        self._devices = devices
        self._known = self._load()

    @property
    def known(self) -> StoredDelay | None:
        """The delay of the pair in use; None: not known."""
        return self._known.get(self._devices)

    def look(self, delay: float | None, drift: float) -> None:
        """Store the delay of the pair in use if it is new; None: not found yet."""
        devices, known = self._devices, self.known
        if delay is None or (known is not None and abs(known.samples - delay) < NEWS):
            return
        self._known.pop(devices, None)
        self._known[devices] = StoredDelay(delay, drift)
        while len(self._known) > MAX_DEVICES:
            del self._known[next(iter(self._known))]
        try:
            write_whole(self._path, json.dumps(self._known))
        except OSError as error:
            _LOGGER.debug("the delay of the loudspeaker cannot be stored: %s", error)

    def _load(self) -> dict[str, StoredDelay]:
        try:
            return dict(_delays(read_object(self._path, MAX_BYTES)))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, TypeError) as error:
            _LOGGER.warning("%s cannot be read, the delays are found again: %s", self._path, error)
            return {}


def _delays(fields: Mapping[str, tuple[float, float]]) -> list[tuple[str, StoredDelay]]:
    found = [(devices, StoredDelay(*map(float, pair))) for devices, pair in fields.items()]
    for _, delay in found:
        is_possible = math.isfinite(delay.samples) and abs(delay.samples) <= 2 * MOST_DELAY
        if not is_possible or not abs(delay.drift) <= MOST_DRIFT:
            raise ValueError(f"a delay of {delay.samples} samples, expected at most {MOST_DELAY}")
    return found
