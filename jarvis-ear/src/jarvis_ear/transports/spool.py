"""Spool: what the courier needs of whoever keeps utterances on file."""

from collections.abc import Collection, Mapping
from typing import Protocol

from jarvis_ear.delivery.events import Finished
from jarvis_ear.delivery.mark import Mark
from jarvis_ear.delivery.revival import Estate, Promise
from jarvis_ear.delivery.utterance import Utterance


class Spool(Protocol):
    """Keeps what must outlive a killed ear. The network thread only; no method raises.

    Whatever cannot be kept is delivered from memory all the same. What is kept, and cannot be
    marked as sent, is not delivered.
    """

    @property
    def kept(self) -> Collection[str]:
        """Turns that the next life will go on with."""

    def begin(self, fresh_s: float, promise: Promise) -> Estate:
        """Return what a former life left behind. Before anything else of this one."""

    def extend(self, turn_id: str, offset: int, pcm: bytes) -> None:
        """Add to an utterance that somebody is still speaking."""

    def discard(self, turn_id: str) -> None:
        """Forget what was no utterance after all."""

    def keep(self, utterance: Utterance) -> None:
        """Keep a whole utterance."""

    def mark(self, turn_id: str, mark: Mark) -> bool:
        """Note how far it has come; False if a later start might still send what is ``SENT``."""

    def finish(self, finished: Finished) -> None:
        """Record a verdict, and then forget the utterance."""

    def heard(self, turn_id: str, heard: str, why: str) -> None:
        """Record how much of a reply was heard, after its verdict."""

    def counters(self) -> Mapping[str, int]:
        """Return how often each bound was met."""


class NoSpool:
    """Keeps nothing: what a killed ear had not delivered is gone."""

    kept: Collection[str] = ()

    def begin(self, fresh_s: float, promise: Promise) -> Estate:  # noqa: ARG002 - the protocol's
        """Nothing was left behind."""
        return Estate()

    def extend(self, turn_id: str, offset: int, pcm: bytes) -> None:
        """Keep nothing."""

    def discard(self, turn_id: str) -> None:
        """Keep nothing."""

    def keep(self, utterance: Utterance) -> None:
        """Keep nothing."""

    def mark(self, turn_id: str, mark: Mark) -> bool:  # noqa: ARG002 - the protocol's
        """Keep nothing: no later start can send it."""
        return True

    def finish(self, finished: Finished) -> None:
        """Keep nothing."""

    def heard(self, turn_id: str, heard: str, why: str) -> None:
        """Keep nothing."""

    def counters(self) -> Mapping[str, int]:
        """Count nothing."""
        return {}
