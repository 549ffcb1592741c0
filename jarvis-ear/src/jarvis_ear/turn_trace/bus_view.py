"""BusNews: what of a turn the event bus is told, where the owner allows it."""

import time
from collections.abc import Callable
from collections.abc import Set as AbstractSet

from jarvis_ear.delivery.events import DeliveryEvent, Finished, Transcribed
from jarvis_ear.delivery.playback import Playback
from jarvis_ear.hearing.events import Effect, TurnDropped, TurnOpened
from jarvis_ear.wires.event_bus import Event, stamp


class BusNews:
    """Makes events for the bus of what happens in a turn: see the glossary for the words.

    The ear thread calls ``effect``, the network thread ``delivery``; ``post`` must not wait.
    """

    def __init__(
        self,
        agent_id: str,
        allowed: AbstractSet[str],
        post: Callable[[Event], None],
        wall: Callable[[], float] = time.time,
    ) -> None:
        """Tell what is ``allowed``, of ``config.NEWS``."""
        self._agent_id = agent_id
        self._allowed = allowed
        self._post = post
        self._wall = wall

    def change(self, agent_id: str, allowed: AbstractSet[str]) -> None:
        """Go on under another name, with other things allowed. Any thread, between turns."""
        self._agent_id, self._allowed = agent_id, allowed

    def effect(self, effect: Effect) -> None:
        """Tell of the wake word, and of a turn in which nothing was said."""
        match effect:
            case TurnOpened(turn_id, score=float(score)):
                self._tell("wake", turn_id, score=round(score, 3))
            case TurnDropped(turn_id, reason):
                self._tell("turn", turn_id, verdict="dropped", code=reason)
            case _:
                pass

    def delivery(self, event: DeliveryEvent) -> None:
        """Tell what was understood, and how the turn ended."""
        match event:
            case Transcribed(turn_id, text):
                self._tell("transcript", turn_id, text=text)
            case Finished(turn_id, verdict, code):
                self._tell("turn", turn_id, verdict=str(verdict), code=code)
            case _:
                pass

    def reply_started(self, turn_id: str) -> None:
        """Say nothing: what is heard here is no news for elsewhere."""

    def reply_heard(self, turn_id: str, playback: Playback) -> None:
        """Say nothing, likewise."""

    def reply_ended(self, turn_id: str) -> None:
        """Say nothing, likewise."""

    def _tell(self, kind: str, turn_id: str, **said: object) -> None:
        if kind in self._allowed:
            data = {"agentId": self._agent_id, "turnId": turn_id, **said}
            self._post(Event(kind, data, stamp(self._wall())))
