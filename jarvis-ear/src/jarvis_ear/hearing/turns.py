"""The turn machine: decides the next state of the ear.

Rule 1: every state change is an entry of ``TRANSITIONS``. Rule 2: this module has no sound, no
clock and no backend; it takes events and returns effects, and an event without an entry changes
nothing.

The diagram in ``docs/state-machine.md`` is drawn from the table.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final, assert_never

from jarvis_ear import config
from jarvis_ear.hearing.events import (
    AbandonTurn,
    AnsweredElsewhere,
    AnsweredHere,
    DeadlinePassed,
    Effect,
    Event,
    Failed,
    FollowUp,
    HoldTurn,
    Hushed,
    Ignored,
    ListenRequested,
    MicrophoneFound,
    MicrophoneLost,
    MicrophoneSilent,
    Muted,
    RefusalReason,
    ReplyEnded,
    ReplyStarted,
    ResumeTurn,
    ResumptionDiscarded,
    SendUtterance,
    SoundEnded,
    SpeechDiscarded,
    SpeechEnded,
    SpeechResumed,
    SpeechStarted,
    State,
    StateChanged,
    StopSpeaking,
    SupersedeTurn,
    TurnConfirmed,
    TurnDropped,
    TurnOpened,
    Unmuted,
    WakeDetected,
)
from jarvis_ear.units import Samples, samples


class Order(StrEnum):
    """Actions of a transition besides the new state, in the order of the table."""

    STOP_SPEAKING = "stop speaking"
    ABANDON = "abandon the turn"
    DROP = "drop the turn"
    HOLD = "hold the turn"
    RESUME = "resume the held turn"
    END_HELD = "end the held turn"
    OPEN = "open a turn"
    CONFIRM = "confirm the turn"
    SEND = "send the utterance"
    CLOSE = "close the turn"


@dataclass(frozen=True, slots=True)
class Transition:
    """One arrow of the diagram."""

    to: State
    orders: tuple[Order, ...] = ()


_HEAR: Final = Transition(State.LISTENING, (Order.HOLD, Order.OPEN))
_HEAR_AGAIN: Final = Transition(State.LISTENING, (Order.DROP, Order.OPEN))
_GO_ON: Final = Transition(State.CAPTURING, (Order.HOLD, Order.OPEN))
_GIVE_UP: Final = Transition(State.IDLE, (Order.DROP, Order.RESUME))
_HUSH: Final = Transition(State.IDLE, (Order.DROP, Order.END_HELD))
_CLOSED: Final = Transition(State.IDLE, (Order.CLOSE,))
_SILENCE: Final = (Order.STOP_SPEAKING, Order.ABANDON)
_MUTE: Final = Transition(State.MUTED)
_DEAF: Final = Transition(State.DEAF)
_STOP_HEARING: Final[Mapping[type[Event], Transition]] = {
    Muted: _MUTE,
    MicrophoneLost: _DEAF,
    MicrophoneSilent: _DEAF,
}
_DROP_AND_STOP_HEARING: Final[Mapping[type[Event], Transition]] = {
    event: Transition(transition.to, (Order.DROP, Order.RESUME))
    for event, transition in _STOP_HEARING.items()
}

TRANSITIONS: Final[Mapping[State, Mapping[type[Event], Transition]]] = {
    State.IDLE: {
        WakeDetected: _HEAR,
        ListenRequested: _HEAR,
        SpeechResumed: _GO_ON,  # the turn of the beginning is over already
        ReplyStarted: Transition(State.SPEAKING),  # an announcement
        Hushed: Transition(State.IDLE, _SILENCE),  # a reply may be playing since before a mute
        **_STOP_HEARING,
    },
    State.LISTENING: {
        SpeechStarted: Transition(State.CAPTURING),
        WakeDetected: _HEAR_AGAIN,
        DeadlinePassed: _GIVE_UP,
        SoundEnded: _GIVE_UP,
        AnsweredHere: Transition(State.LISTENING, (Order.CONFIRM,)),
        AnsweredElsewhere: _GIVE_UP,
        Hushed: _HUSH,
        **_DROP_AND_STOP_HEARING,
    },
    State.CAPTURING: {
        SpeechEnded: Transition(State.THINKING, (Order.END_HELD, Order.SEND)),
        SpeechDiscarded: Transition(State.LISTENING),
        ResumptionDiscarded: _GIVE_UP,
        WakeDetected: _HEAR_AGAIN,  # the utterance so far was the wake word
        SoundEnded: _GIVE_UP,
        AnsweredElsewhere: _GIVE_UP,
        Hushed: _HUSH,
        **_DROP_AND_STOP_HEARING,
    },
    State.THINKING: {
        ReplyStarted: Transition(State.SPEAKING),
        ReplyEnded: Transition(State.FOLLOW_UP, (Order.CLOSE,)),  # a reply without sound
        WakeDetected: _HEAR,
        ListenRequested: _HEAR,
        SpeechResumed: _GO_ON,
        DeadlinePassed: Transition(State.IDLE, (Order.ABANDON,)),
        Failed: _CLOSED,
        AnsweredElsewhere: Transition(State.IDLE, (Order.DROP,)),  # its utterance was not sent
        Hushed: Transition(State.IDLE, (Order.ABANDON,)),
        **_STOP_HEARING,
    },
    State.SPEAKING: {
        WakeDetected: _HEAR,  # barge-in
        ListenRequested: _HEAR,
        ReplyEnded: Transition(State.FOLLOW_UP, (Order.CLOSE,)),
        DeadlinePassed: Transition(State.IDLE, _SILENCE),
        Failed: _CLOSED,
        Hushed: Transition(State.IDLE, _SILENCE),
        **_STOP_HEARING,
    },
    State.FOLLOW_UP: {
        SpeechStarted: Transition(State.CAPTURING, (Order.OPEN,)),
        WakeDetected: _HEAR,
        ListenRequested: _HEAR,
        ReplyStarted: Transition(State.SPEAKING),
        DeadlinePassed: Transition(State.IDLE),
        SoundEnded: Transition(State.IDLE),
        Hushed: Transition(State.IDLE),
        **_STOP_HEARING,
    },
    State.MUTED: {
        Unmuted: Transition(State.IDLE),  # and nothing else
        Hushed: Transition(State.MUTED, _SILENCE),  # a reply may be playing
    },
    State.DEAF: {
        MicrophoneFound: Transition(State.IDLE),
        ReplyStarted: _DEAF,  # replies are still played
        ReplyEnded: Transition(State.DEAF, (Order.CLOSE,)),
        Failed: Transition(State.DEAF, (Order.CLOSE,)),
        Hushed: Transition(State.DEAF, _SILENCE),
        Muted: _MUTE,
    },
}
"""Where a held turn is resumed, ``IDLE`` stands for the state in which it was held."""

_AWAITS_SPEECH: Final = (State.LISTENING, State.FOLLOW_UP)

SPEAKING_MAX_MS: Final = 600_000
"""Ten minutes, the longest reply that delivery passes on; a longer playback is stuck."""


@dataclass(frozen=True, slots=True)
class _HeldTurn:
    """A turn that waits until it is known whether the person says anything newer."""

    reply_id: str
    """Id of the turn, or of an announcement."""
    is_turn: bool
    """Whether it is a turn; an announcement is none."""
    state: State
    """The state to which it returns."""
    deadline: Samples | None
    goes_on: bool
    """Whether it is the beginning of the sentence that is being spoken."""


class TurnMachine:
    """The state of the ear. Owned by the ear thread, which alone may call it.

    A wake word, or speech just after the end of an utterance, may be a false one. The turn that it
    interrupts is therefore held until an utterance is complete, which ends it, or until none comes,
    and then it goes on. At most one turn is open and one is held.
    """

    def __init__(
        self,
        hearing: config.HearingOptions,
        new_id: Callable[[], str],
        lag: Samples = Samples(0),  # noqa: B008 - a number
    ) -> None:
        """``lag``: time by which the loudspeaker is late, which a follow-up is longer."""
        self._new_id = new_id
        self._follow_ups: Mapping[FollowUp, Samples] = {
            FollowUp.AS_CONFIGURED: samples(hearing.follow_up_ms),
            FollowUp.ASKED: samples(hearing.asked_follow_up_ms),
            FollowUp.DECLINED: Samples(0),
        }
        self._lag = lag
        self._windows: dict[State, Samples] = {
            State.LISTENING: samples(hearing.endpointing.no_speech_ms),
            State.THINKING: samples(hearing.reply_ms),
            State.SPEAKING: samples(SPEAKING_MAX_MS),
        }
        self._state = State.IDLE
        self._deadline: Samples | None = None
        self._listen_until = Samples(0)
        self._turn_id = ""
        self._held: _HeldTurn | None = None
        self._sent_id = ""  # of the newest utterance
        self._played_id = ""  # of the newest reply or announcement
        self._session_id = ""
        self._word: config.WakeWord | None = None  # that began the session

    @property
    def state(self) -> State:
        """State of the ear."""
        return self._state

    @property
    def turn_id(self) -> str:
        """Id of the open turn, or empty."""
        return self._turn_id

    @property
    def held_id(self) -> str:
        """Id of the held turn or announcement, or empty."""
        return "" if self._held is None else self._held.reply_id

    @property
    def interrupts_reply(self) -> bool:
        """Whether a reply that was being played is held."""
        return self._held is not None and self._held.state is State.SPEAKING

    @property
    def deadline(self) -> Samples | None:
        """Position at which the caller must report ``DeadlinePassed``, if any."""
        return self._deadline

    def advance(self, event: Event, now: Samples) -> tuple[Effect, ...]:
        """Process one event at stream position ``now``; usually returns no effects."""
        if self._is_of_held(event):
            self._note_held(event)
            return ()
        if self._is_stale(event):
            return (Ignored(self._state, event),)
        transition = TRANSITIONS[self._state].get(type(event))
        if transition is None:
            return (Ignored(self._state, event),)
        if isinstance(event, ReplyEnded):
            self._windows[State.FOLLOW_UP] = self._follow_up_after(event)
        resumed = self._held if Order.RESUME in transition.orders else None
        if isinstance(event, ReplyStarted):
            self._played_id = event.turn_id
            if not self._turn_id:
                self._session_id = ""  # an announcement begins another one
        effects = tuple(self._carry_out(transition.orders, event, now))
        if resumed is None or transition.to is not State.IDLE:
            return effects + self._enter(self._lasting(transition.to), event, now)
        effects += self._enter(resumed.state, event, now)
        if resumed.state is State.THINKING:
            self._deadline = resumed.deadline
        return effects

    def _is_of_held(self, event: Event) -> bool:
        match event:
            case ReplyStarted(turn_id) | ReplyEnded(turn_id) | Failed(turn_id):
                return self._held is not None and turn_id == self._held.reply_id
            case _:
                return False

    def _note_held(self, event: Event) -> None:
        """Note how far the delivery of the held turn has come."""
        if self._held is None or not isinstance(event, ReplyStarted):
            self._held = None  # it is over
        elif self._held.state is State.THINKING:
            self._held = replace(self._held, state=State.SPEAKING)

    def _is_stale(self, event: Event) -> bool:
        """Whether the event is for a turn that is not open (announcements open none)."""
        match event:
            case ReplyStarted(turn_id) | ReplyEnded(turn_id) | Failed(turn_id):
                return bool(self._turn_id) and turn_id != self._turn_id
            case AnsweredHere(turn_id) | AnsweredElsewhere(turn_id):
                return turn_id != self._turn_id
            case _:
                return False

    def _carry_out(  # noqa: C901 - one case for each order
        self, orders: tuple[Order, ...], event: Event, now: Samples
    ) -> Iterator[Effect]:
        for order in orders:
            match order:
                case Order.HOLD:
                    yield from self._hold(event)
                case Order.RESUME:
                    yield from self._resume()
                case Order.END_HELD:
                    yield from self._end_held(event)
                case Order.OPEN:
                    yield from self._open(event, now)
                case Order.SEND:
                    assert isinstance(event, SpeechEnded)  # noqa: S101 - guaranteed by the table
                    self._sent_id = self._turn_id
                    by = ("", "") if self._word is None else (self._word.agent_id, self._word.id)
                    yield SendUtterance(self._turn_id, event.utterance, *by)
                case Order.DROP:
                    answered_by = event.ear if isinstance(event, AnsweredElsewhere) else ""
                    yield TurnDropped(self._close(), _reason(event), answered_by)
                case Order.CONFIRM:
                    yield TurnConfirmed(self._turn_id)
                case Order.ABANDON:
                    yield from self._abandon(event)
                case Order.STOP_SPEAKING:
                    yield StopSpeaking(self._turn_id)
                case Order.CLOSE:
                    self._close()
                case _:
                    assert_never(order)

    def _hold(self, event: Event) -> Iterator[Effect]:
        is_turn = bool(self._turn_id)
        if not is_turn and self._state is not State.SPEAKING:
            return
        reply_id = self._close() or self._played_id
        goes_on = isinstance(event, SpeechResumed)
        self._held = _HeldTurn(reply_id, is_turn, self._state, self._deadline, goes_on)
        yield HoldTurn(reply_id, goes_on)

    def _resume(self) -> Iterator[Effect]:
        held, self._held = self._held, None
        if held is not None:
            self._turn_id = held.reply_id if held.is_turn else ""
            yield ResumeTurn(held.reply_id)

    def _end_held(self, event: Event) -> Iterator[Effect]:
        """End the held turn: the person said something newer, or wants silence."""
        held, self._held = self._held, None
        if held is None:
            return
        is_newer = isinstance(event, SpeechEnded)
        if held.goes_on and is_newer:
            yield SupersedeTurn(held.reply_id, self._turn_id)
            return
        yield StopSpeaking(held.reply_id)
        if held.is_turn:
            reason = WakeDetected.__name__ if is_newer else _reason(event)
            yield AbandonTurn(held.reply_id, reason)

    def _open(self, event: Event, now: Samples) -> Iterator[Effect]:
        self._turn_id = self._new_id()
        word = event if isinstance(event, WakeDetected) else None
        if isinstance(event, WakeDetected | ListenRequested) or not self._session_id:
            self._session_id = self._new_id()
            self._word = None if word is None else word.word
            if self._held is not None and self._held.goes_on:  # it does not: a wake word came
                self._held = replace(self._held, goes_on=False)
                yield HoldTurn(self._held.reply_id, goes_on=False)
        continues = self._sent_id if isinstance(event, SpeechResumed) else ""
        if word is None:
            yield TurnOpened(self._turn_id, self._session_id, now, None, continues)
        else:
            heard = (word.sound, word.second_look, word.verifier, word.word)
            yield TurnOpened(self._turn_id, self._session_id, now, word.score, continues, *heard)

    def _abandon(self, event: Event) -> Iterator[Effect]:
        if self._turn_id:  # an announcement has no turn
            yield AbandonTurn(self._close(), _reason(event))

    def _follow_up_after(self, reply: ReplyEnded) -> Samples:
        if not self._turn_id and reply.follow_up is not FollowUp.ASKED:
            return Samples(0)  # an announcement opens the microphone only if it asks
        window = self._follow_ups[reply.follow_up]
        return Samples(window + self._lag) if window else window

    def _close(self) -> str:
        turn_id, self._turn_id = self._turn_id, ""
        return turn_id

    def _lasting(self, state: State) -> State:
        """Return ``state``, or the state after it if its duration is zero."""
        if self._windows.get(state) != 0:
            return state
        return TRANSITIONS[state][DeadlinePassed].to

    def _enter(self, new: State, event: Event, now: Samples) -> tuple[Effect, ...]:
        old, self._state = self._state, new
        self._deadline = self._deadline_of(new, event, now)
        if new is old:
            return ()
        return (StateChanged(old, new, now, _reason(event)),)

    def _deadline_of(self, state: State, event: Event, now: Samples) -> Samples | None:
        if isinstance(event, SpeechDiscarded):
            return self._listen_until  # discarded speech does not extend the time
        window = self._windows.get(state)
        if window is None:
            return None
        if state in _AWAITS_SPEECH:
            self._listen_until = Samples(now + window)
        return Samples(now + window)


def _reason(event: Event) -> str:
    """Return the name of the event, with its reason if it has one."""
    match event:
        case SpeechEnded(_, utterance):
            return f"SpeechEnded({utterance.reason})"
        case SpeechDiscarded(_, RefusalReason() as refusal):
            return f"SpeechDiscarded({refusal})"
        case Failed(_, code):
            return f"Failed({code})"
        case Hushed(by_voice=True):
            return "Hushed(stop_word)"
        case _:
            return type(event).__name__
