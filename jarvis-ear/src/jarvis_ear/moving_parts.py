"""Moving parts: what has to move for the ear to hear, and what if it does not."""

from typing import Final

from jarvis_ear.backend import BackendClient
from jarvis_ear.devices.capture import Capture
from jarvis_ear.ear_thread import EarThread
from jarvis_ear.errors import DeviceHangs
from jarvis_ear.hearing.events import State
from jarvis_ear.system.beat import Beat, Part

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
            Part(CAPTURE, lambda: capture.turns, patience_s=HANGS_S, is_needed=is_read),
            Part("ear thread", lambda: ear.turns, patience_s=2),
            Part("network", lambda: backend.turns, patience_s=10),
            Part("sound", lambda: ear.frames, patience_s=0.5, is_needed=is_awake),
            Part("wake model", lambda: ear.proofs, patience_s=8, is_needed=is_awake),
        ]
    )


def require_capture(beat: Beat) -> None:
    """End the program when the capture thread hangs: only a new process can hear again."""
    if CAPTURE in beat.stuck:
        raise DeviceHangs(
            f"the sound system has not answered for {HANGS_S:g} s, only a new process can hear"
        )
