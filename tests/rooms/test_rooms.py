"""Whole ears of one home: over the network, over the bus, and with strangers on both."""

import logging
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from fakes.claims import claim
from fakes.hearing import Kind, ScriptedEar, written
from jarvis_ear.announcements import Announcements
from jarvis_ear.audio.frames import Block
from jarvis_ear.bridge import Bridge
from jarvis_ear.config import (
    BackendOptions,
    BusOptions,
    Config,
    HeardOptions,
    HearingOptions,
    RoomsOptions,
    SpeakerOptions,
)
from jarvis_ear.devices.sample_clock import SampleClock, boot_clock
from jarvis_ear.hearing.ear_thread import EarThread
from jarvis_ear.hearing.events import (
    AnsweredElsewhere,
    AnsweredHere,
    TurnDropped,
    TurnOpened,
)
from jarvis_ear.hearing.inbox import Inbox
from jarvis_ear.journal.turns import ANSWERED_ELSEWHERE, ROOMS_TROUBLE
from jarvis_ear.rooms.claim import seal, to_event
from jarvis_ear.rooms.multicast import GROUP, Multicast
from jarvis_ear.rooms.rooms import MAX_EARS, Rooms
from jarvis_ear.turn_trace.earcons import Earcon, EarconView
from jarvis_ear.turn_trace.follow_up import FollowUps
from jarvis_ear.turn_trace.history import TurnHistory
from jarvis_ear.turn_trace.journal_view import JournalView
from jarvis_ear.units import FRAME_BYTES, SAMPLE_BYTES, Samples
from jarvis_ear.wires.event_bus import CLAIM

SOON_S = 10.0
KEY = "the key of the home"
WAKE = written(Kind.SILENCE, 1000, Kind.VOICE, 500, Kind.WORD, 80, Kind.SILENCE, 400)
COMMAND = written(Kind.VOICE, 800, Kind.SILENCE, 1200)


def options(name: str, *, key: str = KEY, group: str = "home", gain_db: float = 0.0) -> Config:
    return Config(
        backend=BackendOptions(agent_id=name),
        hearing=HearingOptions(heard=HeardOptions(gain_db=gain_db)),
        bus=BusOptions(url="ws://127.0.0.1:1"),
        rooms=RoomsOptions(group=group, key=key) if key else RoomsOptions(group=group),
    )


class Changes:
    """What threads do, for a test to wait for."""

    def __init__(self) -> None:
        self._changed = threading.Condition()

    def note(self, do: Callable[[], object]) -> None:
        with self._changed:
            do()
            self._changed.notify_all()

    def wait(self, happens: Callable[[], bool]) -> None:
        with self._changed:
            assert self._changed.wait_for(happens, SOON_S)


class World:
    """The backend and the speaker of one ear, which remember what they are asked."""

    def __init__(self, changes: Changes) -> None:
        self._changes = changes
        self.calls: list[tuple[Any, ...]] = []

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *arguments, **_more: self._changes.note(
            lambda: self.calls.append((name, *arguments))
        )

    def all(self, name: str) -> list[tuple[Any, ...]]:
        return [call[1:] for call in self.calls if call[0] == name]


class Daemon:
    """An ear from its inbox to its rooms, with the threads of both, inside a ``with``."""

    def __init__(self, name: str, changes: Changes, port: int, gain_db: float) -> None:
        config = options(name, gain_db=gain_db)
        self.world = World(changes)
        self.inbox, self.clock = Inbox(), SampleClock()
        earcons = EarconView(muted_by=tuple, is_one_of_many=True)
        earcons.connect(self.world.chime)
        logger = logging.getLogger(f"jarvis_ear.{name}")
        self.turns = TurnHistory(config, JournalView(logger), earcons)
        announcements = Announcements(SpeakerOptions(), self.turns.after, str)
        announcements.connect(self.world)
        bridge = Bridge(
            ear=self.inbox,
            turns=self.turns,
            follow_ups=FollowUps(),
            announcements=announcements,
            clock=self.clock,
        )
        self.thread = EarThread(
            ScriptedEar().ear,
            self.inbox,
            bridge.effect,
            on_finished=lambda: None,
            on_failure=self.world.fail,
        )
        self.rooms = Rooms(
            config,
            sound=lambda: self.thread.around_wake,
            captured_at=self.clock.captured_at,
            is_ready=lambda: True,
            tell=self.inbox.tell,
            post=lambda _event: None,
            port=port,
        )
        bridge.connect(
            send=self.world.send,
            backend=self.world,
            speaker=self.world,
            on_state=self.world.state,
            on_played=self.world.played,
            on_effect=self.rooms.after,
            may_answer=self.rooms.may_answer,
        )
        self._heard = 0

    def hear(self, pcm: bytes) -> None:
        start, self._heard = self._heard, self._heard + len(pcm) // SAMPLE_BYTES
        self.clock.captured(Samples(self._heard))
        self.inbox.put(Block(Samples(start), pcm))

    @property
    def sounds(self) -> list[str]:
        return [name for (name,) in self.world.all("chime")]


@pytest.fixture
def changes() -> Changes:
    return Changes()


@pytest.fixture
def port() -> int:
    """A UDP port that is free now."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind((GROUP, 0))
        return int(probe.getsockname()[1])


NAMES = ("bath", "hall", "kitchen", "study")


@pytest.fixture
def home(changes, port) -> Iterator[list[Daemon]]:
    """Four ears, the third of which has the most sensitive microphone."""
    gains = (-12.0, -6.0, 6.0, 0.0)
    daemons = [Daemon(name, changes, port, gain) for name, gain in zip(NAMES, gains, strict=True)]
    with ExitStack() as stack:
        for daemon in daemons:
            stack.enter_context(daemon.rooms)
            stack.enter_context(daemon.thread)
        yield daemons


def test_of_four_ears_that_hear_the_wake_word_one_answers_and_the_others_say_which(
    home, changes, caplog
):
    caplog.set_level(logging.INFO)
    for daemon in home:
        daemon.hear(WAKE)
    changes.wait(lambda: len([1 for each in home if each.world.all("discard")]) == 3)
    changes.wait(lambda: bool(home[2].sounds))
    for daemon in home:
        daemon.hear(COMMAND)
    changes.wait(lambda: bool(home[2].world.all("send")))
    assert [each.sounds for each in home if each is not home[2]] == [[]] * 3
    assert home[2].sounds[0] == Earcon.WAKE
    assert [bool(each.world.all("send")) for each in home] == [False, False, True, False]
    ends = [each for each in caplog.records if getattr(each, "ANSWERED_BY", "")]
    assert {(each.OUTCOME, each.MESSAGE_ID, each.ANSWERED_BY) for each in ends} == {
        ("answered_elsewhere", ANSWERED_ELSEWHERE.message_id, "kitchen")
    }
    assert len(ends) == 3
    assert home[2].rooms.health() == {
        "rooms": "home",
        "rooms_ears": ["bath", "hall", "study"],
        "rooms_answered_here": 1,
        "rooms_answered_elsewhere": 0,
    }
    assert all(each.rooms.counters()["rooms_refused"] == 0 for each in home)
    assert not any(each.world.all("fail") for each in home)


# One ear and its neighbours


class Alone:
    """One ``Rooms`` whose decisions and messages are noted; time is real."""

    def __init__(self, changes: Changes, config: Config, port: int = 0) -> None:
        self.decided: list[AnsweredHere | AnsweredElsewhere] = []
        self.posted: list[Any] = []
        self.rooms = Rooms(
            config,
            sound=lambda: [bytes(FRAME_BYTES)],
            captured_at=lambda _position: boot_clock(),
            is_ready=lambda: True,
            tell=lambda event: changes.note(lambda: self.decided.append(event)),
            post=lambda event: changes.note(lambda: self.posted.append(event)),
            port=port,
        )

    def wake(self, turn_id: str = "word") -> None:
        self.rooms.after(TurnOpened(turn_id, "session", Samples(0), 0.9))


def other(**changes: Any) -> dict[str, Any]:
    """The claim of a better ear, as the bus brings it."""
    return {**to_event(claim("study", 99, score_percent=100)).data, **changes}


def test_over_the_bus_alone_a_better_ear_is_heard_and_no_socket_is_opened(changes):
    alone = Alone(changes, options("hall", key=""))
    with alone.rooms:
        alone.wake()
        changes.wait(lambda: bool(alone.posted))
        assert alone.posted[0].type == CLAIM
        alone.rooms.heard_on_bus(other(heard=alone.posted[0].data["claimId"]))
        changes.wait(lambda: bool(alone.decided))
    assert alone.decided == [AnsweredElsewhere("word", "study")]
    assert not alone.rooms.may_answer("word")
    alone.rooms.after(TurnOpened("rest", "session", Samples(0), None, "word"))
    assert alone.decided[1:] == [AnsweredElsewhere("rest", "study")]
    assert alone.rooms.may_answer("another")


def test_an_ear_that_nobody_hears_answers(changes, port):
    alone = Alone(changes, options("hall"), port)
    with alone.rooms:
        alone.wake()
        changes.wait(lambda: bool(alone.decided))
    assert alone.decided == [AnsweredHere("word")]
    assert alone.rooms.counters()["rooms_unsent"] == 0


def test_a_reload_changes_the_name_and_the_gain(changes):
    alone = Alone(changes, options("hall", key=""))
    alone.rooms.change(options("bath", key="", gain_db=6))
    with alone.rooms:
        alone.wake()
        changes.wait(lambda: bool(alone.posted))
    assert (alone.posted[0].data["ear"], alone.posted[0].data["level"]) == ("bath", -114)


def test_without_a_group_it_does_nothing(changes):
    alone = Alone(changes, Config())
    threads = threading.active_count()
    with alone.rooms:
        assert threading.active_count() == threads
        alone.wake()
        alone.rooms.heard_on_bus(other())
        assert alone.rooms.may_answer("word")
    assert (alone.decided, alone.posted) == ([], [])
    assert alone.rooms.health() == {"rooms": "off"}


def test_a_turn_that_is_muted_is_taken_back(changes):
    alone = Alone(changes, options("hall", key=""))
    with alone.rooms:
        alone.wake()
        alone.rooms.after(TurnDropped("word", "Muted"))
        changes.wait(lambda: len(alone.posted) == 2)
    assert alone.posted[1].data["standing"] == "withdrawn"
    assert alone.decided == []


def test_a_complete_utterance_is_decided_at_once(changes):
    alone = Alone(changes, options("hall", key=""))
    alone.wake()  # without its thread nothing else decides
    assert alone.rooms.may_answer("word")
    assert alone.decided == [AnsweredHere("word")]


def test_strangers_are_counted_and_named_once_and_have_no_effect(changes, port, caplog):
    alone = Alone(changes, options("hall"), port)
    stranger = claim("study", 99, standing="answers")
    neighbour = claim("study", 98, standing="answers", group="next door")
    with alone.rooms, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
        alone.wake()
        changes.wait(lambda: bool(alone.posted))  # the socket is open by then
        named = alone.posted[0].data["claimId"]
        for datagram in (b"", b"\xff" * 5000, seal(stranger, b"another key, as long")):
            line.sendto(datagram, (GROUP, port))
        line.sendto(seal(neighbour, KEY.encode()), (GROUP, port))
        alone.rooms.heard_on_bus({"ear": None})
        alone.rooms.heard_on_bus(other(group="next door", heard=named))
        changes.wait(lambda: bool(alone.decided))
    assert alone.decided == [AnsweredHere("word")]
    counters = alone.rooms.counters()
    assert counters["rooms_refused"] == 4
    assert counters["rooms_foreign"] == 2
    warnings = [each for each in caplog.records if each.levelno == logging.WARNING]
    assert [each.MESSAGE_ID for each in warnings] == [ROOMS_TROUBLE.message_id]
    assert not [each for each in caplog.records if each.exc_info]


def test_a_network_that_takes_nothing_is_told_and_the_ear_answers(changes, caplog, monkeypatch):
    def fail(_self: Multicast) -> None:
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr(Multicast, "open", fail)
    alone = Alone(changes, options("hall"))
    with alone.rooms:
        alone.wake()
        changes.wait(lambda: bool(alone.decided))
    assert alone.decided == [AnsweredHere("word")]
    assert alone.rooms.counters()["rooms_unsent"] > 1
    assert "Operation not permitted" in caplog.text
    assert KEY not in caplog.text


def test_the_status_names_few_ears(changes):
    alone = Alone(changes, options("hall", key=""))
    for number in range(MAX_EARS + 2):
        alone.rooms.heard_on_bus(other(ear=f"ear {number:02}", claimId=f"{number:016x}"))
    assert alone.rooms.health()["rooms_ears"][0] == "ear 02"


def test_an_utterance_of_a_button_is_answered_here(changes):
    alone = Alone(changes, options("hall", key=""))
    alone.rooms.after(TurnOpened("button", "session", Samples(0), None))
    assert alone.rooms.may_answer("button")
    assert (alone.decided, alone.posted) == ([], [])
