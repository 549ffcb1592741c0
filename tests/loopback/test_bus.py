"""Ears on the bus of the reference backend, over real sockets."""

import json
import os
import threading
import time
from pathlib import Path

import pytest
from websockets.sync.client import connect

from fakes.engines import scripted
from fakes.running_ear import RunningEar
from jarvis_backend.config import BackendConfig
from jarvis_backend.server import Server
from jarvis_ear.bus.client import BusClient, BusSwitch
from jarvis_ear.config import BackendOptions, BusOptions
from jarvis_ear.link.supervisor import LinkState
from jarvis_ear.mute import Mute
from jarvis_ear.wires import event_bus as wire
from jarvis_ear.wires.event_bus import MessageSigner

KEY = "k" * 32
DEADLINE_S = 10
STATUS = wire.STATUS_CHANGED
RECORDING = Path(__file__).parents[1] / "data" / "hey-jarvis-what-time-is-it.wav"


def of_an_ear(data):
    return "agentId" in data


class Person:
    """Somebody else on the bus, over the plain websockets library."""

    def __init__(self, line, key: str | None = None):
        self._line = line
        self._seal = MessageSigner(key.encode() if key else None, time.time)

    def say(self, **message):
        self._line.send(self._seal.write(message))

    def switch(self, *, enabled: bool) -> None:
        self.say(type="module_control", module="audio", enabled=enabled)

    def next(self, kind: str, that=lambda _data: True):
        """Wait for the next event of a kind, and return its data."""
        deadline = time.monotonic() + DEADLINE_S
        while True:
            told = json.loads(self._line.recv(max(0.0, deadline - time.monotonic())))
            self._seal.check(told)
            if told.get("type") == kind and that(told["data"]):
                return told["data"]

    def announcement(self, agent_id: str):
        """Wait for what an ear says of its microphone."""
        told = self.next("module_status_changed", lambda data: data.get("agentId") == agent_id)
        return told["enabled"], told["mutedBy"]


class Ear:
    """What of an ear belongs to the bus, with its own state folder."""

    def __init__(self, folder, agent_id: str, url: str, key: str | None = None):
        self.mute = Mute(folder / agent_id, None)
        self.mute.connect(self._changed)
        self.mute.load()
        switch = BusSwitch(self.mute, may_unmute=False)
        options = BusOptions(url=url, key=key) if key else BusOptions(url=url)
        self.bus = BusClient(options, BackendOptions(agent_id=agent_id), switch)

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


@pytest.fixture
def bus(key):
    """The address of a bus, and a person on it."""
    options = {} if key is None else {"bus_key": key}
    with Server(BackendConfig(port=0, **options), scripted()) as server:
        url = server.url.replace("http", "ws")
        with connect(url + "/ws") as line:
            yield url, Person(line, key)


def test_two_ears_are_switched_together_and_each_answers_for_itself(bus, key, tmp_path):
    url, person = bus
    with Ear(tmp_path, "kitchen", url, key) as kitchen, Ear(tmp_path, "hall", url, key) as hall:
        here = {person.next(STATUS, of_an_ear)["agentId"] for _ in range(2)}
        assert here == {"kitchen", "hall"}
        kitchen.mute.mute()
        assert person.announcement("kitchen") == (False, ["owner"])
        assert hall.mute.by == ()
        person.switch(enabled=False)
        assert person.announcement("hall") == (False, ["bus"])
        person.switch(enabled=True)
        told = {
            data["agentId"]: data["enabled"]
            for data in (person.next(STATUS, of_an_ear) for _ in range(2))
        }
        assert told == {"kitchen": False, "hall": True}
        assert (kitchen.mute.by, hall.mute.by) == (("owner",), ())
        kitchen.mute.unmute()
        assert person.announcement("kitchen") == (True, [])
        assert hall.mute.by == ()


def test_a_mute_of_the_bus_outlives_ear_and_bus(tmp_path):
    with Server(BackendConfig(port=0), scripted()) as server:
        url = server.url.replace("http", "ws")
        with connect(url + "/ws") as line, Ear(tmp_path, "kitchen", url) as ear:
            person = Person(line)
            person.announcement("kitchen")
            person.switch(enabled=False)
            assert person.announcement("kitchen") == (False, ["bus"])
            ear.bus.stop()
        with connect(url + "/ws") as line, Ear(tmp_path, "kitchen", url) as ear:
            person = Person(line)
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
    with Server(BackendConfig(port=0, require_token=True), scripted()) as server:
        url = server.url.replace("http", "ws")
        backend = BackendOptions(url=server.url, agent_id="kitchen")
        ear = Ear(tmp_path, "kitchen", url)
        client = BusClient(BusOptions(url=url), backend, BusSwitch(ear.mute, may_unmute=False))
        client.start()
        try:
            deadline = time.monotonic() + DEADLINE_S
            while client.state is not LinkState.CONNECTED:
                assert time.monotonic() < deadline
                threading.Event().wait(0.01)
        finally:
            client.stop()


@pytest.mark.long  # hears a recording as long as it is
def test_the_whole_ear_on_the_bus(tmp_path):
    with Server(BackendConfig(port=0), scripted()) as server:
        url = server.url.replace("http", "ws")
        options = (
            *("--backend-url", server.url, "--bus.url", url, "--input", str(RECORDING)),
            *("--bus.publish", "wake,transcript,turn", "--speaker.device", "none"),
        )
        with connect(url + "/ws") as line, RunningEar(tmp_path, os.environ, *options) as ear:
            person = Person(line)
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
