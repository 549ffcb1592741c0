"""Chronicles: several who take down what happens, as one."""

from typing import Protocol

from jarvis_ear.delivery.events import DeliveryEvent
from jarvis_ear.delivery.playback import Playback
from jarvis_ear.hearing.events import Effect


class Chronicle(Protocol):
    """Somebody who takes it down. No call blocks."""

    def effect(self, effect: Effect) -> None:
        """Note what the ear decided."""

    def delivery(self, event: DeliveryEvent) -> None:
        """Note what became of an utterance."""

    def reply_started(self, turn_id: str) -> None:
        """Note the first sound of a reply."""

    def reply_heard(self, turn_id: str, playback: Playback) -> None:
        """Note what the loudspeaker made of a reply so far."""

    def reply_ended(self, turn_id: str) -> None:
        """Note the last sound of a reply."""


class Chronicles:
    """Tells each of them, in order. Each method is called by whoever may call theirs."""

    def __init__(self, *all_of_them: Chronicle) -> None:
        self._all = all_of_them

    def effect(self, effect: Effect) -> None:
        """Tell what the ear decided."""
        for chronicle in self._all:
            chronicle.effect(effect)

    def delivery(self, event: DeliveryEvent) -> None:
        """Tell what became of an utterance."""
        for chronicle in self._all:
            chronicle.delivery(event)

    def reply_started(self, turn_id: str) -> None:
        """Tell of the first sound of a reply."""
        for chronicle in self._all:
            chronicle.reply_started(turn_id)

    def reply_heard(self, turn_id: str, playback: Playback) -> None:
        """Tell what the loudspeaker made of a reply so far."""
        for chronicle in self._all:
            chronicle.reply_heard(turn_id, playback)

    def reply_ended(self, turn_id: str) -> None:
        """Tell of the last sound of a reply."""
        for chronicle in self._all:
            chronicle.reply_ended(turn_id)
