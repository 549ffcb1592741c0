"""Components: the parts of a running ear, which of them must keep moving, and what each reports."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

from jarvis_ear.announcements import Announcements
from jarvis_ear.backend import BackendClient
from jarvis_ear.bus.client import BusMembership
from jarvis_ear.control.commands import Tuner
from jarvis_ear.control.feed import Feed
from jarvis_ear.devices.capture import Capture
from jarvis_ear.devices.echo_delays import EchoDelays
from jarvis_ear.devices.microphone import Microphone
from jarvis_ear.devices.speaker import Speaker
from jarvis_ear.devices.volume import VolumeRequests
from jarvis_ear.errors import DeviceHangs
from jarvis_ear.health.liveness import Beat, Part
from jarvis_ear.health.report import Counters, Health
from jarvis_ear.hearing.ear import CALM
from jarvis_ear.hearing.ear_thread import EarThread
from jarvis_ear.hearing.events import State
from jarvis_ear.hearing.inbox import Inbox
from jarvis_ear.hearing.wake_detector import PROOF_S
from jarvis_ear.hooks.hooks import Hooks
from jarvis_ear.journal.kind import advice_for
from jarvis_ear.link.supervisor import LinkState
from jarvis_ear.log import setup
from jarvis_ear.metrics.exposition import Sources
from jarvis_ear.metrics.server import MetricsServer
from jarvis_ear.mqtt.client import MqttMembership
from jarvis_ear.mute import Mute
from jarvis_ear.process import systemctl
from jarvis_ear.rooms.rooms import Rooms
from jarvis_ear.systemd.status_text import BackendOutage, Condition
from jarvis_ear.turn_trace.history import TurnHistory
from jarvis_ear.turn_trace.near_miss_view import NearMissView
from jarvis_ear.turn_trace.turn_counts import TurnCounts
from jarvis_ear.units import HOLD_S
from jarvis_ear.wake_ledger.ledger import WakeLedger

CAPTURE: Final = "capture thread"
"""The part of the beat that can hang in a driver, where nothing can wake it."""

HANGS_S: Final = 15.0
"""A sound process has 5 s for an opening and 2 s for any other answer, and is killed then: a thread
that takes longer than all of that hangs."""


class Requests(NamedTuple):
    """What people and programs may ask of the ear. Any thread may call them."""

    stop: Callable[[], None]
    listen: Callable[[], None]
    say: Callable[[bytes], None]
    """Plays a sound file; raises ``JarvisEarError``."""
    speak: Callable[[str], None]
    """Says a text in the voice of the backend; blocks, and raises ``JarvisEarError``."""
    tuner: Tuner
    """Stores what the owner tunes in the console."""


@dataclass(slots=True)
class Components:
    """The parts of a running ear. Built by the main thread, and not changed after that."""

    inbox: Inbox
    mute: Mute
    bus: BusMembership
    turns: TurnHistory
    feed: Feed
    speaker: Speaker
    backend: BackendClient
    ear: EarThread
    capture: Capture
    hooks: Hooks
    echoes: EchoDelays
    announcements: Announcements
    near_misses: NearMissView
    wake_ledger: WakeLedger
    rooms: Rooms
    turn_counts: TurnCounts
    volume_requests: VolumeRequests
    metrics: MetricsServer
    mqtt: MqttMembership
    folder: Path
    """Folder of what is stored across restarts."""
    requests: Requests
    outage: BackendOutage = field(default_factory=BackendOutage)
    counters: Counters = field(default_factory=Counters)
    """Counters of all parts."""
    beat: Beat = field(init=False)
    health: Health = field(init=False)

    def __post_init__(self) -> None:
        self._register_counters()
        self.beat = self._make_beat()
        self.health = Health(
            self.ear,
            self.beat,
            details=self.details,
            counters=self.counters.read,
            turns=self.turns.recent,
            folder=self.folder,
        )
        self.metrics.connect(
            Sources(
                self.health.report,
                self.turn_counts.read,
                frames=lambda: self.ear.frames,
                waiting=lambda: self.backend.waiting,
                beat=self.beat,
            )
        )

    def require_capture(self) -> None:
        """End the program when the capture thread hangs: only a new process can hear again."""
        if CAPTURE in self.beat.stuck:
            raise DeviceHangs(
                f"the sound system has not answered for {HANGS_S:g} s, only a new process can hear"
            )

    def is_calm(self) -> bool:
        """Whether no turn is in progress, and no utterance waits for its verdict."""
        return self.ear.state in CALM and self.backend.idle

    def condition(self, *, reload: str, reload_waits: bool) -> Condition:
        """Return the state of the ear, with the result of a reload and whether one waits."""
        refused = self.backend.state is LinkState.AUTH_FAILED
        return Condition(
            state=self.ear.state,
            hearing=self.health.hearing,
            proofs=self.ear.proofs,
            lost=self.capture.lost,
            silence=self.capture.silence,
            retry_s=self.capture.retry_s,
            muted_by=self.mute.by,
            muted_until=self.mute.until,
            stuck=self.beat.stuck,
            backend=self.outage.look(connected=self.backend.connected, refused=refused),
            speaker=self.speaker.problem,
            reload=reload,
            reload_waits=reload_waits,
        )

    def details(self) -> Mapping[str, object]:
        """Return the part of the health report that the parts know. Any thread."""
        reason, remedy = self.capture.why_deaf
        found: dict[str, object] = {
            "deaf_reason": reason,
            "deaf_remedy": remedy,
            "muted_by": list(self.mute.by),
            "muted_until": self.mute.until,
            "speaker": self.speaker.condition,
            "volume_percent": self.speaker.volume,
            **self.backend.health(),
            **self.bus.health(),
            **self.mqtt.health(),
            **self.near_misses.details(),
            **self.rooms.health(),
            **self._losses(),
        }
        for name in {"deaf_remedy", "backend_remedy"} & found.keys():
            found[name] = advice_for(str(found[name]), systemctl(os.environ))
        return found

    def home_state(self) -> Mapping[str, object]:
        """Return what a broker publishes besides the state of the ear. Any thread."""
        return {
            "muted": bool(self.mute.by),
            "muted_by": list(self.mute.by),
            "hearing": self.health.hearing,
            "connected": self.backend.connected,
            "volume": self.speaker.volume,
            **self.near_misses.counters(),
        }

    def _register_counters(self) -> None:
        source = self.capture.source
        self.counters.add(setup.counters)
        parts = (
            *(self.ear, self.inbox, self.backend, self.speaker, self.announcements, self.turns),
            *(self.bus, self.hooks, self.near_misses, self.wake_ledger, self.rooms),
            *(self.metrics, self.mqtt),
        )
        for part in parts:
            self.counters.add(part.counters)
        if isinstance(source, Microphone):
            self.counters.add(source.counters)

    def _make_beat(self) -> Beat:
        """Return the beat of the parts that have to move for the ear to hear.

        Without a microphone, sound need not. After the end of a file neither its reader nor sound
        moves, and the last turn may still be open.
        """
        ear, capture, backend = self.ear, self.capture, self.backend

        def is_read() -> bool:
            return not capture.is_over

        def is_awake() -> bool:
            silent = ear.state in (State.MUTED, State.DEAF) or capture.is_muted
            return is_read() and not silent

        proved_s = PROOF_S + HOLD_S + 4
        return Beat(
            [
                Part(CAPTURE, lambda: capture.iterations, limit_s=HANGS_S, is_needed=is_read),
                Part("ear thread", lambda: ear.iterations, limit_s=5),
                Part("network", lambda: backend.iterations, limit_s=10),
                Part("sound", lambda: ear.frames, limit_s=HOLD_S + 1, is_needed=is_awake),
                Part("wake model", lambda: ear.proofs, limit_s=proved_s, is_needed=is_awake),
            ]
        )

    def _losses(self) -> Mapping[str, object]:
        """Return what was not heard, and where it was lost."""
        source, inbox = self.capture.source, self.inbox
        dropped = {"dropped_samples": inbox.dropped_samples, "dropped_events": inbox.dropped_events}
        fields: dict[str, object] = {"source": source.name, **dropped}
        if isinstance(source, Microphone):
            fields |= {"overflows": source.overflows, "gaps": source.gaps}
            fields["samples_lost"] = source.samples_lost
            fields["clipped_percent"] = round(100 * source.clipped, 2)
            fields["hears_own_speaker"] = source.is_monitor
        return fields
