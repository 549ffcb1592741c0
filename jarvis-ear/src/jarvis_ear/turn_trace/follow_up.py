"""FollowUps: whether speech after the reply to each turn needs no wake word."""

import re
import threading
from collections import OrderedDict
from collections.abc import Collection
from typing import Final

from jarvis_ear.config import Config
from jarvis_ear.delivery.events import Announced, Finished, Transcribed
from jarvis_ear.hearing.events import FollowUp
from jarvis_ear.turn_trace.trace import TraceEvent, TurnTrace

MAX_TURNS: Final = 32
"""Turns whose reply is not over: as many as traces are kept."""

_BETWEEN_WORDS: Final = re.compile(r"[\W_]+")


def ends_conversation(transcript: str, phrases: Collection[str]) -> bool:
    """Whether the whole transcript is one of the phrases, apart from case and punctuation."""
    return _plain(transcript) in {_plain(phrase) for phrase in phrases} - {""}


def _plain(text: str) -> str:
    return _BETWEEN_WORDS.sub(" ", text).strip().casefold()


class FollowUps:
    """Decides about the follow-up of each turn, from its transcript and its end. Any thread.

    It is a view of ``TurnHistory``, which calls ``draw`` and ``change``. It keeps no words. Bound:
    ``MAX_TURNS`` decisions. Policy: the oldest is forgotten, and its follow-up is as configured.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()  # protects _decided
        self._decided: OrderedDict[str, FollowUp] = OrderedDict()
        self._phrases: frozenset[str] = frozenset()

    def change(self, options: Config) -> None:
        """Use other phrases for the transcripts that follow."""
        self._phrases = options.hearing.last_words

    def draw(self, event: TraceEvent, _trace: TurnTrace | None) -> None:
        """Note what the event says about the follow-up. The person's words override the backend."""
        match event:
            case Transcribed(turn_id, text) if ends_conversation(text, self._phrases):
                self._decide(turn_id, FollowUp.DECLINED)
            case Finished(turn_id, follow_up=True) | Announced(turn_id, follow_up=True):
                self._decide(turn_id, FollowUp.ASKED)

    def take(self, turn_id: str) -> FollowUp:
        """Return the decision about a turn whose reply is over, and forget it."""
        with self._lock:
            return self._decided.pop(turn_id, FollowUp.AS_CONFIGURED)

    def _decide(self, turn_id: str, follow_up: FollowUp) -> None:
        with self._lock:
            if len(self._decided) >= MAX_TURNS:
                self._decided.popitem(last=False)
            self._decided.setdefault(turn_id, follow_up)
