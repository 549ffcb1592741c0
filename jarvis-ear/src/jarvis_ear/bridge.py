"""Bridge between hearing, delivery and the speaker.

It makes no decisions. Effects of the ear become calls of the backend client and the speaker;
events of delivery and of the speaker become events of the ear.
"""

import threading
from collections import deque
from collections.abc import Callable
from typing import Final

from jarvis_ear.announcements import Announcements
from jarvis_ear.backend import BackendClient
from jarvis_ear.delivery.events import (
    Announced,
    DeliveryEvent,
    Finished,
    ReplyAudio,
    StillWaiting,
    UnaskedSpeech,
    Verdict,
)
from jarvis_ear.delivery.playback import (
    Playback,
    PlaybackEnded,
    PlaybackReported,
    PlaybackStarted,
)
from jarvis_ear.delivery.utterance import CapturedAudio
from jarvis_ear.devices.sample_clock import SampleClock
from jarvis_ear.devices.speaker import Speaker
from jarvis_ear.hearing.events import (
    AbandonTurn,
    Effect,
    Failed,
    HoldTurn,
    PersonOverReply,
    ReplyEnded,
    ReplyStarted,
    ResumeTurn,
    SendUtterance,
    SpeechStarted,
    State,
    StateChanged,
    StopSpeaking,
    SupersedeTurn,
    TurnDropped,
    TurnOpened,
    UtteranceGrew,
    WakeDetected,
)
from jarvis_ear.hearing.inbox import Inbox
from jarvis_ear.turn_trace.follow_up import FollowUps
from jarvis_ear.turn_trace.history import TurnHistory
from jarvis_ear.units import Samples

MAX_ABANDONED: Final = 32
"""Number of abandoned turns whose late chunks are dropped; one connection cannot delay as many."""

NEWER_UTTERANCE: Final = (WakeDetected.__name__, SpeechStarted.__name__)
"""Reasons to abandon a turn that mean a newer utterance."""


class Bridge:
    """Passes effects and events on. Each method belongs to one thread, named in its docstring."""

    def __init__(
        self,
        *,
        ear: Inbox,
        turns: TurnHistory,
        follow_ups: FollowUps,
        announcements: Announcements,
        clock: SampleClock,
    ) -> None:
        self._ear = ear
        self._turns = turns
        self._follow_ups = follow_ups
        self._announcements = announcements
        self._clock = clock
        self._on_played: Callable[[bytes, Samples | None], None]
        self._send: Callable[[CapturedAudio], None]
        self._on_state: Callable[[State], None]
        self._on_effect: Callable[[Effect], None]
        self._may_answer: Callable[[str], bool]
        self._backend: BackendClient
        self._speaker: Speaker
        self._lock = threading.Lock()  # protects _abandoned, and "look, then play"
        self._abandoned: deque[str] = deque(maxlen=MAX_ABANDONED)

    def connect(
        self,
        *,
        send: Callable[[CapturedAudio], None],
        backend: BackendClient,
        speaker: Speaker,
        on_state: Callable[[State], None],
        on_played: Callable[[bytes, Samples | None], None],
        on_effect: Callable[[Effect], None] = lambda _effect: None,
        may_answer: Callable[[str], bool] = lambda _turn_id: True,
    ) -> None:
        """Set the receivers of effects, which need the bridge themselves. Once, before any event.

        ``send`` takes an utterance, ``on_state`` each new state of the ear, and ``on_played`` each
        piece of sound that leaves the loudspeaker, with its position. ``on_effect`` takes each
        effect that was carried out. ``may_answer`` returns whether to send the utterance of a turn;
        if not, another ear answers, and the turn will be dropped. None may block.
        """
        self._on_effect = on_effect
        self._may_answer = may_answer
        self._on_played = on_played
        self._send = send
        self._on_state = on_state
        self._backend = backend
        self._speaker = speaker

    def effect(self, effect: Effect) -> None:  # noqa: C901 - one case for each effect
        """Carry out an effect of the ear. Ear thread."""
        if isinstance(effect, SendUtterance) and not self._may_answer(effect.turn_id):
            return
        self._turns.after(effect)
        match effect:
            case TurnOpened():
                self._speaker.prepare()
            case SendUtterance(turn_id, utterance, agent_id, wake_word):
                spoken_at = self._clock.captured_at(utterance.speech_end)
                self._send(CapturedAudio(utterance.pcm, turn_id, spoken_at, agent_id, wake_word))
                self._speaker.prepare()
            case UtteranceGrew(turn_id, offset, pcm):
                self._backend.extend(turn_id, offset, pcm)
            case TurnDropped(turn_id):
                self._backend.discard(turn_id)
            case HoldTurn(turn_id, goes_on):
                self._speaker.pause(turn_id)
                self._backend.hold(turn_id, goes_on=goes_on)
            case ResumeTurn(turn_id):
                self._backend.release(turn_id)
                self._speaker.resume(turn_id)
            case SupersedeTurn(turn_id, by):
                self._silence(turn_id)
                self._backend.supersede(turn_id, by)
            case AbandonTurn(turn_id, reason):
                self._silence(turn_id)
                self._backend.abandon(turn_id, newer=reason in NEWER_UTTERANCE)
            case StopSpeaking():
                self._speaker.stop()
            case PersonOverReply(_, speaks):
                self._speaker.duck(speaks)
            case StateChanged(_, state):
                self._on_state(state)
        self._announcements.after(effect)
        self._on_effect(effect)

    def _silence(self, turn_id: str) -> None:
        """Play no more of the turn, neither what waits nor what still comes."""
        with self._lock:
            self._abandoned.append(turn_id)
            self._speaker.stop()

    def delivery(self, event: DeliveryEvent) -> None:
        """Pass on a delivery event. Network thread."""
        if isinstance(event, Announced):
            if not self._announcements.announce(event):
                self._turns.after(UnaskedSpeech(len(event.sounds)))
            return
        self._turns.after(event)
        match event:
            case ReplyAudio(turn_id, index, content_type, audio):
                with self._lock:
                    if turn_id not in self._abandoned:
                        self._speaker.play(turn_id, index, content_type, audio)
            case StillWaiting(turn_id):
                with self._lock:
                    if turn_id in self._abandoned:
                        self._abandoned.remove(turn_id)
                self._announcements.reopen(turn_id)
            case Finished(turn_id) if event.chunks:
                self._speaker.finish(turn_id)
            case Finished(turn_id, Verdict.DONE):  # a reply without sound
                self._ear.tell(ReplyEnded(turn_id, self._follow_ups.take(turn_id)))
                self._announcements.over(turn_id)
            case Finished(turn_id, _, code):
                self._ear.tell(Failed(turn_id, code))
                self._announcements.over(turn_id)

    def played(self, pcm: bytes, at: float) -> None:
        """Report sound that leaves the loudspeaker at a time of the boot clock. Speaker thread."""
        self._on_played(pcm, self._clock.position_at(at))

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
        self._backend.played(turn_id)
        self._ear.tell(ReplyEnded(turn_id, self._follow_ups.take(turn_id)))
        self._announcements.over(turn_id)
