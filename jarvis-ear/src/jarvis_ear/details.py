"""Details: what `jarvis-ear status` tells besides hearing."""

from collections.abc import Mapping

from jarvis_ear.backend import BackendClient
from jarvis_ear.devices.capture import Capture
from jarvis_ear.devices.microphone import Microphone
from jarvis_ear.devices.source import Source
from jarvis_ear.membership import Membership
from jarvis_ear.system.inbox import Inbox
from jarvis_ear.system.mute import Mute


def details(
    mute: Mute, backend: BackendClient, bus: Membership, inbox: Inbox, capture: Capture
) -> Mapping[str, object]:
    """Gather it. Any thread."""
    reason, remedy = capture.why_deaf
    return {
        "deaf_reason": reason,
        "deaf_remedy": remedy,
        "muted_by": list(mute.by),
        "connected": backend.connected,
        **bus.health(),
        **_losses(capture.source, inbox),
    }


def _losses(source: Source, inbox: Inbox) -> Mapping[str, object]:
    """Count what was not heard, and where it was lost."""
    dropped = {"dropped_samples": inbox.dropped_samples, "dropped_events": inbox.dropped_events}
    told: dict[str, object] = {"source": source.name, **dropped}
    if isinstance(source, Microphone):
        told |= {"overflows": source.overflows, "gaps": source.gaps}
        told["samples_lost"] = source.samples_lost
        told["clipped_percent"] = round(100 * source.clipped, 2)
        told["hears_own_speaker"] = source.is_monitor
    return told
