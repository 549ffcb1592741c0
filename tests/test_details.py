"""What `jarvis-ear status` tells: every counter that is kept anywhere in the ear."""

import ast
import gc
import logging
import os
import threading
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

import jarvis_ear
from fakes.hearing import ScriptedGate, ScriptedSpeech, ScriptedWake
from jarvis_ear import config
from jarvis_ear.announcements import Announcements
from jarvis_ear.backend import BackendClient
from jarvis_ear.bus.client import BusMembership
from jarvis_ear.components import Components
from jarvis_ear.control.feed import Feed
from jarvis_ear.control.report_text import COUNTED
from jarvis_ear.control.server import ControlServer
from jarvis_ear.devices.capture import Capture
from jarvis_ear.devices.echo_delays import EchoDelays
from jarvis_ear.devices.microphone import Microphone
from jarvis_ear.devices.speaker import Speaker
from jarvis_ear.devices.volume import Volume, VolumeRequests
from jarvis_ear.hearing.ear import Ear
from jarvis_ear.hearing.ear_thread import EarThread
from jarvis_ear.hearing.inbox import Inbox
from jarvis_ear.hearing.own_voice import OwnVoice
from jarvis_ear.hearing.turns import TurnMachine
from jarvis_ear.hooks.hooks import Hooks
from jarvis_ear.log.journal import JournalHandler, JournalSocket
from jarvis_ear.metrics.server import MetricsServer
from jarvis_ear.mqtt.client import MqttMembership
from jarvis_ear.mute import Mute
from jarvis_ear.rooms.rooms import Rooms
from jarvis_ear.spool.ledger import Ledger
from jarvis_ear.spool.store import BootClock, DiskSpool
from jarvis_ear.systemd.notify import Notifier
from jarvis_ear.turn_trace.history import TurnHistory
from jarvis_ear.turn_trace.near_miss_view import NearMissView
from jarvis_ear.turn_trace.turn_counts import TurnCounts
from jarvis_ear.wake_ledger.ledger import WakeLedger

SOON_S = 20.0
MANY = 1_000_000
BEAT = "shows that its thread, the sound or the wake model moves: a part of the beat"

NO_LOSS = {
    ("Beat", "count"): "the beat itself, which status shows",
    **dict.fromkeys([(each, "iterations") for each in ("Capture", "Sender", "EarThread")], BEAT),
    **dict.fromkeys([("EarThread", "frames"), ("WakeDetector", "proofs")], BEAT),
    ("Reply", "passed_on"): "what came of a reply, told with its turn",
    ("WavReader", "read_bytes"): "how far a file has been read",
    ("SoundProcess", "generation"): "tells a sound process from the one before",
    ("Executor", "changes"): "what an installation has changed; another program",
    ("DeafTime", "seconds"): "deaf_s_today",
    ("Election", "won"): "rooms_answered_here",
    ("Election", "lost"): "rooms_answered_elsewhere",
}
"""Numbers that go up, and are no counter of what was lost, refused or left out."""

ADDED_UP = {
    ("Reply", "duplicates"): "the outbox, when the turn is over",
    ("Reply", "late"): "the outbox, when the turn is over",
    ("SpoolScan", "foreign"): "the spool, after the start",
    ("Link", "refused"): "the sender or the session of the bus, of every link",
    ("Link", "overflows"): "likewise",
    ("Pages", "refused"): "nobody: the console is a process of its own",
    ("Watch", "lost_ear"): "the monitor, a process of its own that shows it",
    ("Watch", "lost_backend"): "likewise",
}
"""Counters of what does not last, and who adds them up."""


def kept() -> list[tuple[str, str]]:
    """Every public attribute of a class that begins at zero and is counted up somewhere."""
    files = Path(jarvis_ear.__file__).parent.rglob("*.py")
    nodes = (node for file in files for node in ast.walk(ast.parse(file.read_text())))
    owners = [node for node in nodes if isinstance(node, ast.ClassDef)]
    return sorted({(owner.name, name) for owner in owners for name in counted_up(owner)})


def counted_up(owner: ast.ClassDef) -> list[str]:
    zero = {
        target.attr
        for each in ast.walk(owner)
        if isinstance(each, ast.Assign) and ast.unparse(each.value) in ("0", "0.0")
        for target in each.targets
        if isinstance(target, ast.Attribute)
    }
    raised = {
        each.target.attr
        for each in ast.walk(owner)
        if isinstance(each, ast.AugAssign) and isinstance(each.target, ast.Attribute)
    }
    return [name for name in zero & raised if not name.startswith("_")]


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """The parts of a running ear, and how to ask for what `status` would show."""
    folder = tmp_path_factory.mktemp("ear")
    options = config.Config(
        backend=config.BackendOptions(url="http://127.0.0.1:1", password="x"),
        bus=config.BusOptions(url="ws://127.0.0.1:1"),
        mqtt=config.MqttOptions(url="mqtt://127.0.0.1:1"),
    )
    inbox, mute = Inbox(), Mute(folder, None)
    clock = BootClock("boot")
    spool = DiskSpool(folder / "spool", Ledger(folder / "ledger", clock), clock)
    ear = EarThread(
        Ear(
            options.hearing,
            gate=ScriptedGate(),
            wake=ScriptedWake(),
            speech=ScriptedSpeech(),
            machine=TurnMachine(options.hearing, str),
            own_voice=OwnVoice(ScriptedWake()),
        ),
        inbox,
        lambda _effect: None,
        on_finished=lambda: None,
        on_failure=lambda _error: None,
    )
    parts = Components(
        inbox=inbox,
        mute=mute,
        bus=BusMembership(options, mute),
        turns=TurnHistory(options),
        feed=Feed(),
        speaker=Speaker(
            config.SpeakerOptions(device="none", output_dir=folder / "replies"),
            on_started=lambda _turn: None,
            on_ended=lambda _turn: None,
        ),
        backend=BackendClient(options.backend, spool=spool),
        ear=ear,
        capture=Capture(Microphone(options.microphone), inbox, on_end=lambda _error: None),
        hooks=Hooks(options.hooks),
        echoes=EchoDelays(folder, "here"),
        announcements=Announcements(options.speaker, lambda _event: None, str),
        near_misses=NearMissView(logging.getLogger("near misses"), Feed()),
        wake_ledger=WakeLedger(options.hearing, folder),
        rooms=Rooms(
            options,
            sound=tuple,
            captured_at=float,
            is_ready=lambda: True,
            tell=lambda _event: None,
            post=lambda _event: None,
        ),
        turn_counts=TurnCounts(),
        volume_requests=VolumeRequests(Volume(100)),
        metrics=MetricsServer(options.metrics),
        mqtt=MqttMembership(options, mute),
        folder=folder,
        requests=None,
    )
    for part in (
        ControlServer(folder, lambda _word: {}),
        Notifier("/nowhere", lambda _line, _text: None),
    ):
        parts.counters.add(part.counters)
    journal = JournalHandler(JournalSocket(folder / "no journal"))
    with ExitStack() as stack:
        stack.enter_context(parts.backend)
        logging.getLogger().addHandler(journal)
        stack.callback(logging.getLogger().removeHandler, journal)
        deadline, pause = time.monotonic() + SOON_S, threading.Event()
        while not (
            "stray_messages" in parts.counters.read() and parts.backend.health()["backend_reason"]
        ):
            assert time.monotonic() < deadline
            pause.wait(0.01)
        yield parts.health.report


@pytest.fixture(scope="module")
def parts(report):
    """Every object of a class that keeps a counter, by the name of the class."""
    found = {owner: [] for owner, _ in kept()}
    for each in gc.get_objects():
        found.get(type(each).__name__, []).append(each)
    return found


@pytest.mark.parametrize(
    ("owner", "name"), [each for each in kept() if each not in NO_LOSS and each not in ADDED_UP]
)
def test_a_counter_that_is_kept_is_shown(report, parts, owner, name):
    instances = [
        each for each in parts[owner] if isinstance(getattr(each, "__dict__", {}).get(name), int)
    ]
    assert instances, f"no {owner} here: who counts {name}, and where is it shown?"
    before = {id(each): getattr(each, name) for each in instances}
    try:
        for each in instances:
            setattr(each, name, MANY)
        assert max(report()["counters"].values()) >= MANY
    finally:
        for each in instances:
            setattr(each, name, before[id(each)])
    assert max(report()["counters"].values()) < MANY


def test_every_counter_has_words_and_every_exception_exists(report):
    assert set(report()["counters"]) == set(COUNTED)
    assert set(NO_LOSS) | set(ADDED_UP) <= set(kept())


def test_a_backend_that_is_away_is_shown_with_address_reason_and_remedy(report, monkeypatch):
    assert report()["backend_remedy"].startswith("find what fails")
    assert "systemctl" not in report()["backend_remedy"], "a terminal has no unit to edit"
    monkeypatch.setenv("SYSTEMD_EXEC_PID", str(os.getpid()))
    told = report()
    assert told["connected"] is False
    assert told["backend_url"] == "http://127.0.0.1:1"
    assert "refused" in told["backend_reason"]
    assert told["backend_remedy"].index("jarvis-ear doctor") < told["backend_remedy"].index(
        "IPAddressAllow"
    )
