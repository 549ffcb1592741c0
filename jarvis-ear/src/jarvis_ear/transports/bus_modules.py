"""BusModules: how the modules on the bus are, as far as the bus has said."""

from collections.abc import Mapping

from jarvis_ear.wire import event_bus as wire


class BusModules:
    """Remembers the last word on each module but the microphones, which ears speak of themselves.

    The thread of the bus notes; any thread may read.
    """

    def __init__(self) -> None:
        self.known: Mapping[str, bool] = {}
        """Whether it is enabled, for each module that was spoken of."""

    def note(self, message: wire.Message) -> None:
        """Take in what somebody said."""
        status = wire.module_status(message) if isinstance(message, wire.Event) else None
        if status is not None and status[0] != wire.MICROPHONE:
            self.known = {**self.known, status[0]: status[1]}
