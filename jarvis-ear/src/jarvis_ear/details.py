"""Details: what `jarvis-ear status` tells besides hearing."""

from collections.abc import Mapping

from jarvis_ear.backend import BackendClient
from jarvis_ear.devices.microphone import Microphone
from jarvis_ear.devices.source import Source
from jarvis_ear.devices.speaker import Speaker
from jarvis_ear.membership import Membership
from jarvis_ear.system.inbox import Inbox
from jarvis_ear.system.mute import Mute


def details(
    mute: Mute,
    backend: BackendClient,
    bus: Membership,
    source: Source,
    inbox: Inbox,
    *,
    speaker: Speaker,
) -> Mapping[str, object]:
    """Gather it. Any thread."""
    return {
        "muted_by": list(mute.by),
        "connected": backend.connected,
        "speaker": speaker.condition,
        **bus.health(),
        **_losses(source, inbox),
    }


def _losses(source: Source, inbox: Inbox) -> Mapping[str, object]:
    """Count what was not heard, and where it was lost."""
    dropped = {"dropped_samples": inbox.dropped_samples, "dropped_events": inbox.dropped_events}
    told: dict[str, object] = {"source": source.name, **dropped}
    if isinstance(source, Microphone):
        told |= {"overflows": source.overflows, "gaps": source.gaps}
        told["samples_lost"] = source.samples_lost
    return told
