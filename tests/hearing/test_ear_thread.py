"""The thread in which sound meets decisions: order, patience, the end of sound, and failure."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count

import pytest

from jarvis_ear import config
from jarvis_ear.audio.frames import Block
from jarvis_ear.hearing.ear import Ear
from jarvis_ear.hearing.ear_thread import EarThread
from jarvis_ear.hearing.events import (
    Effect,
    Event,
    Failed,
    MicrophoneLost,
    Muted,
    SendUtterance,
    State,
    StateChanged,
    TurnOpened,
)
from jarvis_ear.hearing.inbox import Inbox
from jarvis_ear.hearing.turns import TurnMachine
from jarvis_ear.hearing.utterance import EndReason
from jarvis_ear.units import FRAME_BYTES, SAMPLE_BYTES, STEP_SAMPLES, Samples, samples

DEADLINE_S = 10.0
"""Far above what anything here takes: reached only when something is broken."""

SPEECH = b"\x00\x10\x00\xf0" * (FRAME_BYTES // 4)
SILENCE = bytes(FRAME_BYTES)


class Loud:
    """Calls every frame that is not silence speech, and every second word the wake word."""

    def is_speech(self, pcm: bytes) -> bool:
        return any(pcm)

    def probability(self, pcm: bytes, gain: float) -> float:
        assert gain >= 1
        return float(any(pcm))

    def reset(self) -> None:
        pass

    def score(self, pcm: bytes) -> list[float]:
        size = STEP_SAMPLES * SAMPLE_BYTES
        return [float(any(pcm[at : at + size])) for at in range(0, len(pcm), size)]


class Effects:
    """Collects effects from the ear thread and lets a test wait for one."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self.all: list[Effect] = []

    def __call__(self, effect: Effect) -> None:
        with self._changed:
            self.all.append(effect)
            self._changed.notify_all()

    def wait_for(self, wanted: Callable[[Effect], bool]) -> Effect:
        with self._changed:
            found = self._changed.wait_for(lambda: any(map(wanted, self.all)), DEADLINE_S)
            assert found, self.all
            return next(effect for effect in self.all if wanted(effect))


def sound(duration_ms: int, frame: bytes) -> bytes:
    return frame * (duration_ms // 20)


COMMAND = sound(400, SPEECH) + sound(700, SILENCE) + sound(600, SPEECH)
"""The wake word, a pause, a command: to listeners that are easily convinced."""


def loud_ear(name: str = "id") -> Ear:
    hearing = config.HearingOptions(wake=config.WakeOptions(refractory_ms=10_000))
    ids = count()
    return Ear(
        hearing,
        gate=Loud(),
        wake=Loud(),
        speech=Loud(),
        machine=TurnMachine(hearing, lambda: f"{name}{next(ids)}"),
    )


@contextmanager
def running(
    effects: Effects, inbox: Inbox, *, waits_for_replies: bool = False
) -> Iterator[tuple[EarThread, threading.Event, list[BaseException]]]:
    ear = loud_ear()
    finished, failures = threading.Event(), list[BaseException]()
    thread = EarThread(
        ear,
        inbox,
        effects,
        waits_for_replies=waits_for_replies,
        on_finished=finished.set,
        on_failure=failures.append,
    )
    with thread:
        yield thread, finished, failures
    assert not any(t.name == "ear" for t in threading.enumerate())


def put(inbox: Inbox, pcm: bytes, start: int = 0) -> None:
    assert inbox.put_wait(Block(Samples(start), pcm), DEADLINE_S)


def test_a_command_becomes_one_utterance_and_the_end_of_sound_waits_for_its_answer() -> None:
    effects, inbox = Effects(), Inbox(max_frames=1000)
    with running(effects, inbox) as (thread, finished, failures):
        put(inbox, COMMAND + sound(1200, SILENCE))
        thread.sound_ended()
        sent = effects.wait_for(lambda effect: isinstance(effect, SendUtterance))
        assert isinstance(sent, SendUtterance)
        assert sent.utterance.reason is EndReason.HANGOVER
        assert not finished.is_set()
        inbox.tell(Failed(sent.turn_id, "test"))
        assert finished.wait(DEADLINE_S)
        assert thread.state is State.IDLE
        assert not failures


def test_sound_that_ends_in_mid_sentence_is_sent() -> None:
    effects, inbox = Effects(), Inbox(max_frames=1000)
    with running(effects, inbox) as (thread, _finished, _failures):
        put(inbox, COMMAND)
        thread.sound_ended()
        sent = effects.wait_for(lambda effect: isinstance(effect, SendUtterance))
        assert isinstance(sent, SendUtterance)
        assert sent.utterance.reason is EndReason.SOUND_ENDED
        assert sent.utterance.speech_end == samples(1700)


def test_a_patient_ear_leaves_sound_waiting_while_an_answer_is_awaited() -> None:
    effects, inbox = Effects(), Inbox(max_frames=1000)
    with running(effects, inbox, waits_for_replies=True) as (thread, finished, _failures):
        put(inbox, COMMAND + sound(1200, SILENCE))
        put(inbox, sound(12_000, SILENCE), start=samples(2900))
        thread.sound_ended()
        sent = effects.wait_for(lambda effect: isinstance(effect, SendUtterance))
        assert isinstance(sent, SendUtterance)
        heard = thread.frames
        inbox.tell(Failed(sent.turn_id, "test"))
        assert finished.wait(DEADLINE_S)
        assert heard <= samples(2900) // 320
        assert thread.frames == samples(14_900) // 320


def test_events_reach_the_ear_without_any_sound() -> None:
    effects, inbox = Effects(), Inbox()
    with running(effects, inbox):
        inbox.tell(Muted())
        effects.wait_for(lambda e: isinstance(e, StateChanged) and e.new is State.MUTED)


def test_silence_ends_without_a_turn() -> None:
    effects, inbox = Effects(), Inbox(max_frames=1000)
    with running(effects, inbox) as (thread, finished, _failures):
        put(inbox, sound(2000, SILENCE))
        thread.sound_ended()
        assert finished.wait(DEADLINE_S)
    assert not [effect for effect in effects.all if isinstance(effect, TurnOpened)]


@pytest.mark.parametrize("error", [RuntimeError("model gone"), MemoryError()])
def test_a_bug_ends_the_program_and_not_only_the_thread(error: BaseException) -> None:
    inbox, failed = Inbox(), threading.Event()
    failures: list[BaseException] = []

    def fail(failure: BaseException) -> None:
        failures.append(failure)
        failed.set()

    class Broken(Loud):
        def is_speech(self, pcm: bytes) -> bool:
            raise error if pcm else AssertionError

    hearing = config.HearingOptions()
    ear = Ear(hearing, gate=Broken(), wake=Loud(), speech=Loud(), machine=TurnMachine(hearing, str))
    ends = list[Samples]()
    with EarThread(
        ear, inbox, Effects(), on_block=ends.append, on_finished=failed.set, on_failure=fail
    ):
        inbox.put(Block(Samples(0), SPEECH))
        assert failed.wait(DEADLINE_S)
    assert failures == [error]
    assert ends == [Samples(len(SPEECH) // SAMPLE_BYTES)]  # before it is heard


def wait_until(true: Callable[[], bool]) -> None:
    deadline, pause = time.monotonic() + DEADLINE_S, threading.Event()
    while not true():
        assert time.monotonic() < deadline
        pause.wait(0.002)


def test_the_model_has_answered_before_any_sound() -> None:
    with running(Effects(), Inbox()) as (thread, _finished, _failures):
        wait_until(lambda: thread.proofs > 0)


def test_an_ear_is_exchanged_when_its_turn_is_over() -> None:
    effects, inbox = Effects(), Inbox(max_frames=1000)
    with running(effects, inbox) as (thread, _finished, failures):
        put(inbox, COMMAND + sound(1200, SILENCE))
        sent = effects.wait_for(lambda effect: isinstance(effect, SendUtterance))
        assert isinstance(sent, SendUtterance)
        former, other = thread._ear, loud_ear("other")
        thread.change(other)
        before = thread.iterations
        wait_until(lambda: thread.iterations > before + 1)
        assert thread._ear is former
        inbox.tell(Failed(sent.turn_id, "test"))
        wait_until(lambda: thread._ear is other)
        put(inbox, COMMAND + sound(1200, SILENCE), start=100 * 320)
        effects.wait_for(lambda e: isinstance(e, SendUtterance) and e.turn_id.startswith("other"))
        assert not failures


@pytest.mark.parametrize(
    ("event", "state"), [(Muted(), State.MUTED), (MicrophoneLost(), State.DEAF)]
)
def test_another_ear_is_as_muted_or_deaf_as_the_former(event: Event, state: State) -> None:
    effects, inbox = Effects(), Inbox()
    with running(effects, inbox) as (thread, _finished, _failures):
        inbox.tell(event)
        wait_until(lambda: thread.state is state)
        told, other = len(effects.all), loud_ear()
        thread.change(other)
        wait_until(lambda: thread._ear is other)
        assert thread.state is state
        assert len(effects.all) == told
