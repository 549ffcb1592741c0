"""NoBus: what stands in for the event bus of an ear that joins none."""

from collections.abc import Mapping, Sequence

from jarvis_ear.wire import event_bus as wire


class NoBus:
    """Does what ``BusClient`` does, with nobody. Any thread."""

    is_member = False
    """Whether there is a bus to be reached."""

    def health(self) -> Mapping[str, object]:
        """Say that there is none."""
        return {"bus": "off"}

    def counters(self) -> Mapping[str, int]:
        """Count nothing: the names are those of a bus."""
        return {"bus_dropped": 0, "bus_refused": 0}

    def start(self) -> None:
        """Reach nobody."""

    def stop(self) -> None:
        """Leave nobody."""

    def leave(self) -> None:
        """Leave nobody, likewise."""

    def post(self, event: wire.Event) -> None:
        """Tell nobody."""

    def switch_module(self, module: str, *, enabled: bool) -> None:
        """Switch nothing."""

    def announce(self, by: Sequence[str]) -> None:
        """Announce it to nobody."""
