"""Running: everything that runs, as the main thread sees it."""

from dataclasses import dataclass

from jarvis_ear.backend import BackendClient
from jarvis_ear.devices.capture import Capture
from jarvis_ear.devices.source import Source
from jarvis_ear.devices.speaker import Speaker
from jarvis_ear.ear_thread import CALM, EarThread
from jarvis_ear.membership import Membership
from jarvis_ear.reload import Reload
from jarvis_ear.showing import Showing
from jarvis_ear.system.away import Away
from jarvis_ear.system.beat import Beat
from jarvis_ear.system.condition import Condition
from jarvis_ear.system.health import Health
from jarvis_ear.system.mute import Mute
from jarvis_ear.system.turn_log import TurnLog
from jarvis_ear.transports.status import LinkState


@dataclass(frozen=True, slots=True)
class Running:
    """The parts that have been started. Owned by the main thread, which looks at all of them."""

    source: Source
    capture: Capture
    ear: EarThread
    backend: BackendClient
    speaker: Speaker
    log: TurnLog
    mute: Mute
    beat: Beat
    health: Health
    away: Away
    bus: Membership
    showing: Showing

    def is_calm(self) -> bool:
        """Whether nobody speaks with us, and no sentence waits for its verdict."""
        return self.ear.state in CALM and self.backend.idle

    def condition(self, reload: Reload) -> Condition:
        """Say how the ear is."""
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
            backend=self.away.look(connected=self.backend.connected, refused=refused),
            speaker=self.speaker.lack,
            reload=reload.note,
            reload_waits=reload.waits,
        )
