"""Bridge between hearing and delivery.

It makes no decisions. Effects of the ear become calls of the backend client and the speaker;
events of delivery and of the speaker become events of the ear.
"""

import threading
from collections import deque
from collections.abc import Callable
from typing import Final, Protocol

from jarvis_ear.delivery.events import DeliveryEvent, Finished, ReplyAudio, StillWaiting, Verdict
from jarvis_ear.delivery.playback import (
    Playback,
    PlaybackEnded,
    PlaybackEvent,
    PlaybackReported,
    PlaybackStarted,
)
from jarvis_ear.delivery.utterance import CapturedAudio
from jarvis_ear.hearing.events import (
    AbandonTurn,
    Effect,
    Event,
    Failed,
    ReplyEnded,
    ReplyStarted,
    SendUtterance,
    SpeechStarted,
    StopSpeaking,
    TurnDropped,
    UtteranceGrew,
    WakeDetected,
)
from jarvis_ear.units import Samples

REMEMBERED: Final = 32
"""Number of abandoned turns whose late chunks are dropped; one connection cannot delay as many."""


SPEAKS_AGAIN: Final = (WakeDetected.__name__, SpeechStarted.__name__)
"""Reasons to abandon a turn that mean a newer utterance."""


class SpeechOutput(Protocol):
    """What the bridge needs from a speaker. No call blocks."""

    def play(self, turn_id: str, index: int, content_type: str, audio: bytes) -> None:
        """Play a chunk of a reply after those that already wait."""

    def finish(self, turn_id: str) -> None:
        """Mark the reply as complete: no more chunks follow."""

    def stop(self) -> None:
        """Stop playback at once."""


class Messenger(Protocol):
    """What the bridge needs from the backend client. No call blocks."""

    def extend(self, turn_id: str, offset: int, pcm: bytes) -> None:
        """Store the sound of an unfinished utterance, in case the process is killed."""

    def discard(self, turn_id: str) -> None:
        """Delete the sound of a turn without speech."""

    def abandon(self, turn_id: str, *, newer: bool = True) -> None:
        """Stop waiting for a reply, because of a ``newer`` utterance or on request."""


class TurnObserver(Protocol):
    """What the bridge needs from the record of the turns. No call blocks."""

    def after(self, event: Effect | DeliveryEvent | PlaybackEvent) -> None:
        """Record an event of the ear, of delivery or of the speaker."""


class Listener(Protocol):
    """What the bridge needs from the inbox. No call blocks."""

    def tell(self, event: object) -> None:
        """Pass an event to the ear."""


class Bridge:
    """Passes effects and events on. Each method belongs to one thread, named in its docstring."""

    def __init__(
        self, *, ear: Listener, turns: TurnObserver, captured_at: Callable[[Samples], float]
    ) -> None:
        """``captured_at`` returns the capture time of a sample of the stream, on the boot clock."""
        self._ear = ear
        self._turns = turns
        self._captured_at = captured_at
        self._send: Callable[[CapturedAudio], None]
        self._backend: Messenger
        self._speaker: SpeechOutput
        self._lock = threading.Lock()  # protects _abandoned, and "look, then play"
        self._abandoned: deque[str] = deque(maxlen=REMEMBERED)

    def connect(
        self, *, send: Callable[[CapturedAudio], None], backend: Messenger, speaker: SpeechOutput
    ) -> None:
        """Set the receivers of effects, which need the bridge themselves. Once, before any event.

        ``send`` takes an utterance, and must not block.
        """
        self._send = send
        self._backend = backend
        self._speaker = speaker

    def effect(self, effect: Effect) -> None:
        """Carry out an effect of the ear. Ear thread."""
        self._turns.after(effect)
        match effect:
            case SendUtterance(turn_id, utterance):
                spoken_at = self._captured_at(utterance.speech_end)
                captured_audio = CapturedAudio(utterance.pcm, turn_id, spoken_at)
                self._send(captured_audio)
            case UtteranceGrew(turn_id, offset, pcm):
                self._backend.extend(turn_id, offset, pcm)
            case TurnDropped(turn_id):
                self._backend.discard(turn_id)
            case AbandonTurn(turn_id, reason):
                self._abandon(turn_id, newer=reason in SPEAKS_AGAIN)
            case StopSpeaking():
                self._speaker.stop()
            case _:
                pass

    def delivery(self, event: DeliveryEvent) -> None:
        """Pass on a delivery event. Network thread."""
        self._turns.after(event)
        match event:
            case ReplyAudio(turn_id, index, content_type, audio):
                with self._lock:
                    if turn_id not in self._abandoned:
                        self._speaker.play(turn_id, index, content_type, audio)
            case StillWaiting(turn_id):
                self._await_again(turn_id)
            case Finished():
                self._finish(event)
            case _:
                pass

    def reply_started(self, turn_id: str) -> None:
        """Report that playback of a reply has started. Speaker thread."""
        self._turns.after(PlaybackStarted(turn_id))
        self._ear.tell(ReplyStarted(turn_id))

    def reply_heard(self, turn_id: str, playback: Playback) -> None:
        """Report how much of a reply was played so far. Speaker thread."""
        self._turns.after(PlaybackReported(turn_id, playback))

    def reply_ended(self, turn_id: str) -> None:
        """Report that playback of a reply has ended. Speaker thread."""
        self._turns.after(PlaybackEnded(turn_id))
        self._ear.tell(ReplyEnded(turn_id))

    def _await_again(self, turn_id: str) -> None:
        with self._lock:
            if turn_id in self._abandoned:
                self._abandoned.remove(turn_id)

    def _abandon(self, turn_id: str, *, newer: bool) -> None:
        with self._lock:
            self._abandoned.append(turn_id)
            self._speaker.stop()  # drops its chunks that already wait there
        self._backend.abandon(turn_id, newer=newer)

    def _finish(self, finished: Finished) -> None:
        if finished.chunks:
            self._speaker.finish(finished.turn_id)
            return
        self._ear.tell(_without_sound(finished))


def _without_sound(finished: Finished) -> Event:
    """Return the ear's event for the end of a turn whose reply has no sound."""
    if finished.verdict is Verdict.DONE:
        return ReplyEnded(finished.turn_id)
    return Failed(finished.turn_id, finished.code)
