"""BusSwitch: what the event bus may do with the microphone."""

from collections.abc import Callable, Sequence

from jarvis_ear.system.mute import BUS, OWNER, Mute


class BusSwitch:
    """Obeys the bus as far as the owner allows it. Lives on the thread of the bus.

    The bus may close the ear at any time. It opens what it closed itself; what owner or clock
    closed it opens only with ``may_unmute``.
    """

    def __init__(self, mute: Mute, *, may_unmute: bool) -> None:
        self._mute = mute
        self._may_unmute = may_unmute

    def change(self, *, may_unmute: bool) -> None:
        """Go on with another word of the owner. Any thread."""
        self._may_unmute = may_unmute

    def turn(self, *, enabled: bool) -> bool:
        """Close or open the ear, and return whether it is now as the bus wants it."""
        if enabled:
            self._open()
        elif BUS not in self._mute.by:  # said already: the disk need not hear it again
            self._mute.mute(BUS)
        return enabled == (not self._mute.by)

    def tell(self, listener: Callable[[Sequence[str]], None]) -> None:
        """Tell ``listener`` who wants the ear closed, before any change after this."""
        self._mute.tell(listener)

    def _open(self) -> None:
        if self._may_unmute and self._mute.by:
            self._mute.unmute(OWNER)
        elif BUS in self._mute.by:
            self._mute.unmute(BUS)
