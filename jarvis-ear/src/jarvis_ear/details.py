"""Details: what `jarvis-ear status` tells besides hearing."""

from collections.abc import Mapping
from typing import Protocol

from jarvis_ear.backend import BackendClient
from jarvis_ear.devices.capture import Capture
from jarvis_ear.devices.microphone import Microphone
from jarvis_ear.devices.source import Source
from jarvis_ear.devices.speaker import Speaker
from jarvis_ear.ear_thread import EarThread
from jarvis_ear.membership import Membership
from jarvis_ear.system import logs
from jarvis_ear.system.counters import Counters
from jarvis_ear.system.inbox import Inbox
from jarvis_ear.system.mute import Mute


def details(
    mute: Mute,
    backend: BackendClient,
    bus: Membership,
    inbox: Inbox,
    capture: Capture,
    *,
    speaker: Speaker,
) -> Mapping[str, object]:
    """Gather it. Any thread."""
    reason, remedy = capture.why_deaf
    return {
        "deaf_reason": reason,
        "deaf_remedy": remedy,
        "muted_by": list(mute.by),
        "connected": backend.connected,
        "speaker": speaker.condition,
        **_backend(backend),
        **bus.health(),
        **_losses(capture.source, inbox),
    }


class Counting(Protocol):
    """A part that counts what it loses, refuses or leaves out."""

    def counters(self) -> Mapping[str, int]:
        """Return its counters by name. Any thread may ask."""


def counters(source: Source, ear: EarThread, *parts: Counting) -> Counters:
    """Say where the parts on the way of a turn count what they lose, refuse or leave out."""
    counted = Counters()
    counted.add(logs.counters)
    counted.add(lambda: {"gaps_in_sound": ear.gaps, "gap_samples": ear.samples_lost})
    for part in parts:
        counted.add(part.counters)
    if isinstance(source, Microphone):
        counted.add(source.counters)
    return counted


def _backend(backend: BackendClient) -> Mapping[str, object]:
    """Say where the backend is, and what is wrong with it while it is away."""
    told: dict[str, object] = {"backend_url": backend.address}
    if not backend.connected:
        told["backend_reason"], told["backend_remedy"] = backend.trouble
    return told


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
