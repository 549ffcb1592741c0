"""The thread of the ear: the order of its inputs, waiting, the end of sound, and failure."""

import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from itertools import count

import pytest

from jarvis_ear import config
from jarvis_ear.audio.frames import Block
from jarvis_ear.hearing.ear import Ear
from jarvis_ear.hearing.ear_thread import EarThread
from jarvis_ear.hearing.events import (
    Effect,
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
from jarvis_ear.hearing.wake import SecondLook
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

    load = unload = reset

    def score(self, pcm: bytes) -> list[float]:
        size = STEP_SAMPLES * SAMPLE_BYTES
        return [float(any(pcm[at : at + size])) for at in range(0, len(pcm), size)]

    def score_word(self, word: int) -> list[float]:
        raise AssertionError(f"there is no word {word}")

    def look_again(self, step: int, word: int) -> SecondLook:  # noqa: ARG002 - every step is clear
        return SecondLook(0.0, None)

    def score_stop(self) -> list[float]:
        return []


class Effects(list[Effect]):
    """Collects effects from the ear thread and lets a test wait for one."""

    def __init__(self):
        super().__init__()
        self._changed = threading.Condition()

    def __call__(self, effect: Effect) -> None:
        with self._changed:
            self.append(effect)
            self._changed.notify_all()

    def wait_for(self, wanted: Callable[[Effect], bool]) -> Effect:
        with self._changed:
            assert self._changed.wait_for(lambda: any(map(wanted, self)), DEADLINE_S), self
            return next(filter(wanted, self))


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


class Running:
    """An ear thread that runs."""

    def __init__(self, ear: Ear | None = None, **options):
        self.effects, self.inbox = Effects(), Inbox(max_frames=1000)
        self.finished, self.failed = threading.Event(), threading.Event()
        self.failures: list[BaseException] = []
        self.thread = EarThread(
            ear or loud_ear(),
            self.inbox,
            self.effects,
            on_finished=self.finished.set,
            on_failure=self._fail,
            **options,
        )

    def _fail(self, failure: BaseException) -> None:
        self.failures.append(failure)
        self.failed.set()

    def put(self, pcm: bytes, start: int = 0) -> None:
        assert self.inbox.put_wait(Block(Samples(start), pcm), DEADLINE_S)

    def sent(self, turn_id: str = "") -> SendUtterance:
        """Wait for the utterance of a turn whose id starts like this."""
        sent = self.effects.wait_for(
            lambda effect: isinstance(effect, SendUtterance) and effect.turn_id.startswith(turn_id)
        )
        assert isinstance(sent, SendUtterance)
        return sent

    def fail_turn(self, sent: SendUtterance) -> None:
        self.inbox.tell(Failed(sent.turn_id, "test"))


@pytest.fixture
def run():
    with ExitStack() as stack:

        def start(*arguments, **options) -> Running:
            running = Running(*arguments, **options)
            stack.enter_context(running.thread)
            return running

        yield start
    assert not any(thread.name == "ear" for thread in threading.enumerate())


def wait_until(true: Callable[[], bool]) -> None:
    deadline, pause = time.monotonic() + DEADLINE_S, threading.Event()
    while not true():
        assert time.monotonic() < deadline
        pause.wait(0.002)


def test_a_command_is_one_utterance_and_the_end_of_sound_waits_for_its_answer(run):
    going = run()
    going.put(COMMAND + sound(1200, SILENCE))
    going.thread.sound_ended()
    sent = going.sent()
    assert sent.utterance.reason is EndReason.HANGOVER
    assert not going.finished.is_set()
    going.fail_turn(sent)
    assert going.finished.wait(DEADLINE_S)
    assert going.thread.state is State.IDLE
    assert not going.failures


def test_an_utterance_is_sent_when_the_sound_ends(run):
    going = run()
    going.put(COMMAND)
    going.thread.sound_ended()
    sent = going.sent()
    assert sent.utterance.reason is EndReason.SOUND_ENDED
    assert sent.utterance.speech_end == samples(1700)


def test_an_ear_that_waits_for_replies_leaves_sound_in_the_inbox(run):
    going = run(waits_for_replies=True)
    going.put(COMMAND + sound(1200, SILENCE))
    for start_ms in range(2900, 14_900, 100):
        going.put(sound(100, SILENCE), start=samples(start_ms))
    going.thread.sound_ended()
    sent = going.sent()
    wait_until(lambda: not going.thread._ear.expects_more)
    heard = going.thread.frames
    going.fail_turn(sent)
    assert going.finished.wait(DEADLINE_S)
    assert heard <= samples(2900 + 1800) // 320  # until then the sentence may go on
    assert going.thread.frames == samples(14_900) // 320


def test_live_sound_is_asked_for_in_a_turn_and_no_longer_after_it(run):
    asked: list[tuple[bool, State]] = []
    going = run(on_live=lambda wanted: asked.append((wanted, going.thread.state)))
    going.put(COMMAND + sound(1200, SILENCE))
    sent = going.sent()
    going.fail_turn(sent)
    going.put(sound(3000, SILENCE), start=samples(2900))
    going.thread.sound_ended()
    assert going.finished.wait(DEADLINE_S)
    assert asked == [(True, State.THINKING), (False, State.IDLE)]


def test_events_reach_the_ear_without_any_sound(run):
    going = run()
    going.inbox.tell(Muted())
    going.effects.wait_for(lambda e: isinstance(e, StateChanged) and e.new is State.MUTED)


def test_silence_ends_without_a_turn(run):
    going = run()
    going.put(sound(2000, SILENCE))
    going.thread.sound_ended()
    assert going.finished.wait(DEADLINE_S)
    assert not [effect for effect in going.effects if isinstance(effect, TurnOpened)]


@pytest.mark.parametrize("error", [RuntimeError("model gone"), MemoryError()])
def test_an_error_of_a_model_is_reported_as_a_failure_of_the_thread(run, error):
    class Broken(Loud):
        def is_speech(self, pcm: bytes) -> bool:
            raise error if pcm else AssertionError

    hearing, ends = config.HearingOptions(), []
    ear = Ear(hearing, gate=Broken(), wake=Loud(), speech=Loud(), machine=TurnMachine(hearing, str))
    going = run(ear, on_block=ends.append)
    going.put(SPEECH)
    assert going.failed.wait(DEADLINE_S)
    assert going.failures == [error]
    assert ends == [Samples(len(SPEECH) // SAMPLE_BYTES)]  # before it is heard


def test_the_model_has_answered_before_any_sound(run):
    going = run()
    wait_until(lambda: going.thread.proofs > 0)


def test_an_ear_is_exchanged_when_its_turn_is_over(run):
    going = run()
    going.put(COMMAND + sound(1200, SILENCE))
    sent = going.sent()
    former, other = going.thread._ear, loud_ear("other")
    going.thread.change(other)
    for _ in range(2):
        before = going.thread.iterations
        going.inbox.wake()
        wait_until(lambda before=before: going.thread.iterations > before)
    assert going.thread._ear is former
    going.fail_turn(sent)
    going.put(sound(1700, SILENCE), start=145 * 320)  # until then the sentence may go on
    wait_until(lambda: going.thread._ear is other)
    going.put(COMMAND + sound(1200, SILENCE), start=230 * 320)
    going.sent("other")
    assert not going.failures


@pytest.mark.parametrize(
    ("event", "state"), [(Muted(), State.MUTED), (MicrophoneLost(), State.DEAF)]
)
def test_another_ear_is_as_muted_or_deaf_as_the_former(run, event, state):
    going = run()
    going.inbox.tell(event)
    wait_until(lambda: going.thread.state is state)
    count, other = len(going.effects), loud_ear()
    going.thread.change(other)
    wait_until(lambda: going.thread._ear is other)
    assert going.thread.state is state
    assert len(going.effects) == count
