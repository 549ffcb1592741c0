"""Ears on the bus of the reference backend, over real sockets."""

import json
import os
import queue
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from websockets.sync.client import connect

from fakes.engines import scripted
from fakes.running_ear import RunningEar
from fakes.voice_server import wait_until
from jarvis_backend.config import BackendConfig
from jarvis_backend.server import Server
from jarvis_ear.bus.client import BusClient, BusMembership, BusSwitch
from jarvis_ear.config import BackendOptions, BusOptions, Config, RoomsOptions
from jarvis_ear.devices.sample_clock import boot_clock
from jarvis_ear.hearing.events import AnsweredElsewhere, AnsweredHere, TurnOpened
from jarvis_ear.link.supervisor import LinkState
from jarvis_ear.mute import Mute
from jarvis_ear.rooms.rooms import Rooms
from jarvis_ear.units import Samples
from jarvis_ear.wires import event_bus as wire
from jarvis_ear.wires.event_bus import MessageSigner

KEY = "k" * 32
DEADLINE_S = 10
STATUS = wire.STATUS_CHANGED
RECORDING = Path(__file__).parents[1] / "data" / "hey-jarvis-what-time-is-it.wav"


class Person:
    """Somebody else on the bus, over the plain websockets library."""

    def __init__(self, line, key: str | None = None):
        self._line = line
        self._seal = MessageSigner(key.encode() if key else None, time.time)

    def say(self, **message):
        self._line.send(self._seal.write(message))

    def switch(self, *, enabled: bool) -> None:
        self.say(type="module_control", module="audio", enabled=enabled)

    def next(self, kind: str, field: str = ""):
        """Wait for the next event of a kind, which has a field, and return its data."""
        deadline = time.monotonic() + DEADLINE_S
        while True:
            told = json.loads(self._line.recv(max(0.0, deadline - time.monotonic())))
            self._seal.check(told)
            if told.get("type") == kind and (not field or field in told["data"]):
                return told["data"]

    def announcement(self, agent_id: str):
        while (told := self.next(STATUS, "agentId"))["agentId"] != agent_id:
            pass
        return told["enabled"], told["mutedBy"]


class Ear:
    """What of an ear belongs to the bus, with its own state folder."""

    def __init__(self, folder, agent_id: str, url: str, key=None, backend=None):
        self.mute = Mute(folder / agent_id, None)
        self.mute.connect(self._changed)
        self.mute.load()
        options = BusOptions(url=url, key=key) if key else BusOptions(url=url)
        switch = BusSwitch(self.mute, options, {})
        self.bus = BusClient(options, backend or BackendOptions(agent_id=agent_id), switch)

    def __enter__(self):
        self.bus.start()
        return self

    def __exit__(self, *_):
        self.bus.stop()

    def _changed(self, _muted):
        self.bus.announce(self.mute.by)


@pytest.fixture(params=[None, KEY], ids=["open", "signed"])
def key(request):
    return request.param


@contextmanager
def serving(**options):
    """A reference backend, by the address of its bus."""
    with Server(BackendConfig(port=0, **options), scripted()) as server:
        yield server.url.replace("http", "ws")


@contextmanager
def person_at(url, key=None):
    with connect(url + "/ws") as line:
        yield Person(line, key)


@pytest.fixture
def bus(key):
    """The address of a bus, and a person on it."""
    options = {} if key is None else {"bus_key": key}
    with serving(**options) as url, person_at(url, key) as person:
        yield url, person


def test_two_ears_are_switched_together_and_each_answers_for_itself(bus, key, tmp_path):
    url, person = bus
    with Ear(tmp_path, "kitchen", url, key) as kitchen, Ear(tmp_path, "hall", url, key) as hall:
        here = {person.next(STATUS, "agentId")["agentId"] for _ in range(2)}
        assert here == {"kitchen", "hall"}
        kitchen.mute.mute()
        assert person.announcement("kitchen") == (False, ["owner"])
        assert hall.mute.by == ()
        person.switch(enabled=False)
        assert person.announcement("hall") == (False, ["bus"])
        person.switch(enabled=True)
        told = {
            data["agentId"]: data["enabled"]
            for data in (person.next(STATUS, "agentId") for _ in range(2))
        }
        assert told == {"kitchen": False, "hall": True}
        assert (kitchen.mute.by, hall.mute.by) == (("owner",), ())
        kitchen.mute.unmute()
        assert person.announcement("kitchen") == (True, [])
        assert hall.mute.by == ()


def test_a_mute_of_the_bus_outlives_ear_and_bus(tmp_path):
    with serving() as url:
        with person_at(url) as person, Ear(tmp_path, "kitchen", url) as ear:
            person.announcement("kitchen")
            person.switch(enabled=False)
            assert person.announcement("kitchen") == (False, ["bus"])
            ear.bus.stop()
        with person_at(url) as person, Ear(tmp_path, "kitchen", url) as ear:
            assert person.announcement("kitchen") == (False, ["bus"])
            person.switch(enabled=True)
            assert person.announcement("kitchen") == (True, [])


def test_an_ear_that_joins_or_comes_back_hears_that_the_microphones_are_off(bus, key, tmp_path):
    url, person = bus
    with Ear(tmp_path, "hall", url, key) as hall:
        person.announcement("hall")
        person.switch(enabled=False)
        assert person.announcement("hall") == (False, ["bus"])
        with Ear(tmp_path, "kitchen", url, key) as kitchen:
            assert person.announcement("kitchen") == (True, [])
            assert person.announcement("kitchen") == (False, ["bus"])
            kitchen.bus.stop()
            kitchen.mute.unmute()  # by its owner, while it was away
        with Ear(tmp_path, "kitchen", url, key) as kitchen:
            assert person.announcement("kitchen") == (True, [])
            assert person.announcement("kitchen") == (False, ["bus"])
        assert hall.mute.by == ("bus",)


def test_a_bus_that_asks_for_a_token_gets_one_if_it_is_the_backend(tmp_path):
    with serving(require_token=True) as url:
        backend = BackendOptions(url=url.replace("ws", "http"), agent_id="kitchen")
        with Ear(tmp_path, "kitchen", url, backend=backend) as ear:
            wait_until(lambda: ear.bus.state is LinkState.CONNECTED)


def test_two_ears_of_one_home_agree_over_the_bus_which_one_answers(bus, key, tmp_path):
    url, _ = bus
    decided: queue.Queue[AnsweredHere | AnsweredElsewhere] = queue.Queue()
    with ExitStack() as stack:
        more = {"folder": tmp_path, "tell": decided.put, "stack": stack}
        rooms = [room_of(name, url, key, **more) for name in ("hall", "bath")]
        for room, score in zip(rooms, (0.9, 0.6), strict=True):
            room.after(TurnOpened(f"turn of {score}", "session", Samples(0), score))
        ends = {decided.get(timeout=DEADLINE_S) for _ in rooms}
    assert ends == {AnsweredHere("turn of 0.9"), AnsweredElsewhere("turn of 0.6", "hall")}


def room_of(name, url, key, *, folder, tell, stack):
    """The rooms of an ear that is on the bus, without a key for the network."""
    options = Config(
        backend=BackendOptions(agent_id=name),
        bus=BusOptions(url=url, key=key) if key else BusOptions(url=url),
        rooms=RoomsOptions(group="home"),
    )
    bus = BusMembership(options, Mute(folder / name, None))
    rooms = Rooms(
        options,
        sound=tuple,
        captured_at=lambda _position: boot_clock(),
        is_ready=lambda: True,
        tell=tell,
        post=bus.post_now,
    )
    bus.connect(rooms.heard_on_bus)
    stack.enter_context(bus)
    stack.enter_context(rooms)
    wait_until(lambda: bus.health()["bus"] == LinkState.CONNECTED)
    return rooms


@pytest.mark.long  # hears a recording as long as it is
def test_the_whole_ear_on_the_bus(tmp_path):
    with serving() as url, person_at(url) as person:
        options = (
            *("--backend-url", url.replace("ws", "http"), "--bus.url", url),
            *("--input", str(RECORDING), "--speaker.device", "none"),
            *("--bus.publish", "wake,transcript,turn"),
        )
        with RunningEar(tmp_path, os.environ, *options) as ear:
            assert person.announcement("jarvis-ear") == (True, [])
            person.switch(enabled=False)
            assert person.announcement("jarvis-ear") == (False, ["bus"])
            status = ear.status()
            assert (status["muted_by"], status["bus"]) == (["bus"], "connected")
            person.switch(enabled=True)
            assert person.announcement("jarvis-ear") == (True, [])
            assert person.next("wake")["score"] > 0.5
            assert person.next("transcript")["text"] == "what time is it"
            assert person.next("turn")["verdict"] == "done"
