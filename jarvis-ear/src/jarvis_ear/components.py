"""Components: which parts of a running ear must keep moving, and what each reports."""

from collections.abc import Mapping
from typing import Final, Protocol

from jarvis_ear.backend import BackendClient
from jarvis_ear.bus.membership import BusMembership
from jarvis_ear.devices.capture import Capture
from jarvis_ear.devices.microphone import Microphone
from jarvis_ear.devices.sources import Source
from jarvis_ear.devices.speaker import Speaker
from jarvis_ear.errors import DeviceHangs
from jarvis_ear.health.liveness import Beat, Part
from jarvis_ear.health.report import Counters
from jarvis_ear.hearing.ear import PROOF_S
from jarvis_ear.hearing.ear_thread import EarThread
from jarvis_ear.hearing.events import State
from jarvis_ear.hearing.inbox import Inbox
from jarvis_ear.log import setup
from jarvis_ear.mute import Mute
from jarvis_ear.units import HOLD_S

CAPTURE: Final = "capture thread"
"""The part of the beat that can hang in a driver, where nobody can wake it."""

HANGS_S: Final = 15.0
"""A sound process has 5 s for an opening and 2 s for any other answer, and is killed then: whoever
takes longer than all of that hangs."""


def make_beat(ear: EarThread, capture: Capture, backend: BackendClient) -> Beat:
    """Say which parts have to move for the ear to hear; without a microphone, sound need not.

    After the end of a file neither its reader nor sound moves, and the last turn may still be open.
    """

    def is_read() -> bool:
        return not capture.is_over

    def is_awake() -> bool:
        silent = ear.state in (State.MUTED, State.DEAF) or capture.is_muted
        return is_read() and not silent

    return Beat(
        [
            Part(CAPTURE, lambda: capture.iterations, patience_s=HANGS_S, is_needed=is_read),
            Part("ear thread", lambda: ear.iterations, patience_s=5),
            Part("network", lambda: backend.iterations, patience_s=10),
            Part("sound", lambda: ear.frames, patience_s=HOLD_S + 1, is_needed=is_awake),
            Part(
                "wake model",
                lambda: ear.proofs,
                patience_s=PROOF_S + HOLD_S + 4,
                is_needed=is_awake,
            ),
        ]
    )


def require_capture(beat: Beat) -> None:
    """End the program when the capture thread hangs: only a new process can hear again."""
    if CAPTURE in beat.stuck:
        raise DeviceHangs(
            f"the sound system has not answered for {HANGS_S:g} s, only a new process can hear"
        )


def details(
    mute: Mute,
    backend: BackendClient,
    bus: BusMembership,
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
    counted.add(setup.counters)
    counted.add(lambda: {"gaps_in_sound": ear.gaps, "gap_samples": ear.samples_lost})
    for part in parts:
        counted.add(part.counters)
    if isinstance(source, Microphone):
        counted.add(source.counters)
    return counted


def _backend(backend: BackendClient) -> Mapping[str, object]:
    """Say where the backend is, and what is wrong with it while it is away."""
    fields: dict[str, object] = {"backend_url": backend.address}
    if not backend.connected:
        fields["backend_reason"], fields["backend_remedy"] = backend.trouble
    return fields


def _losses(source: Source, inbox: Inbox) -> Mapping[str, object]:
    """Count what was not heard, and where it was lost."""
    dropped = {"dropped_samples": inbox.dropped_samples, "dropped_events": inbox.dropped_events}
    fields: dict[str, object] = {"source": source.name, **dropped}
    if isinstance(source, Microphone):
        fields |= {"overflows": source.overflows, "gaps": source.gaps}
        fields["samples_lost"] = source.samples_lost
        fields["clipped_percent"] = round(100 * source.clipped, 2)
        fields["hears_own_speaker"] = source.is_monitor
    return fields
