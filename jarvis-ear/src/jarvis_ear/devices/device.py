"""Device: one input or output as PortAudio lists it."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

Kind: TypeAlias = Literal["input", "output"]


@dataclass(frozen=True, slots=True)
class Device:
    """One device as PortAudio lists it."""

    index: int
    """Its place in the list, which changes whenever something is plugged in."""
    name: str
    """Its name, stable as long as it stays in its socket."""
    host_api: str
    """The sound system behind it: ALSA, JACK..."""
    inputs: int
    """Channels it can record."""
    outputs: int
    """Channels it can play."""
    rate: int
    """Samples per second it prefers."""
    monitor: bool = False
    """Whether it gives what a loudspeaker plays, and hears no room."""

    def channels(self, kind: Kind) -> int:
        """Channels it has in this direction."""
        return self.inputs if kind == "input" else self.outputs
