"""The ear at a real broker: what it publishes, what it obeys, and what a bad broker cannot do."""

import json
import logging
import os
import socket
import time
from datetime import datetime
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest
from pydantic import SecretStr

from fakes.broker import NEEDS_BROKER, Broker, Watcher
from fakes.running_ear import RunningEar
from fakes.tls import Authority
from fakes.voice_server import wait_until
from jarvis_ear.config import BackendOptions, Config, MqttOptions
from jarvis_ear.control.commands import BURST, ControlCommands
from jarvis_ear.delivery.timeouts import Timing
from jarvis_ear.errors import ConfigError
from jarvis_ear.mqtt import client
from jarvis_ear.mqtt import client as client_module
from jarvis_ear.mqtt.client import MqttMembership
from jarvis_ear.mute import BROKER, Mute

pytestmark = [NEEDS_BROKER, pytest.mark.usefixtures("shortest_waits")]

RECORDING = Path(__file__).parents[1] / "data" / "hey-jarvis-what-time-is-it.wav"
BASE = "jarvis-ear/kitchen"

CONNACK = b"\x20\x03\x00\x00\x00"
SUBACK = b"\x90\x04\x00\x01\x00\x87"
"""Of the first subscription, which is not authorised."""


def configured(broker: Broker, **options) -> Config:
    mqtt = MqttOptions(**{"url": broker.url, "may_listen": True, **options})
    return Config(mqtt=mqtt, backend=BackendOptions(agent_id="kitchen"))


class Ear:
    """The parts of an ear that a broker sees."""

    def __init__(self, folder, config: Config):
        self.mute = Mute(folder, None, wall=datetime.now)
        self.percent, self.said, self.asked = 40, [], []
        self.member = MqttMembership(config, self.mute)
        orders = ControlCommands(
            SimpleNamespace(hearing=True),
            self.mute,
            on_stop=lambda: self.asked.append("stop"),
            on_listen=lambda: self.asked.append("listen"),
            on_speak=self.said.append,
            speaker=self,
        )
        self.member.connect(orders, self.home_state)

    @property
    def volume(self):
        return self.percent

    def set_volume(self, percent, _by):
        self.percent = percent
        return True

    def home_state(self):
        return {"muted": bool(self.mute.by), "volume": self.percent}

    def status(self):
        return self.member.health()["mqtt"]


@pytest.fixture
def broker(tmp_path):
    with Broker(tmp_path) as broker:
        yield broker


@pytest.fixture
def ear(tmp_path, broker):
    ear = Ear(tmp_path, configured(broker))
    with ear.member:
        wait_until(lambda: ear.status() == "connected")
        yield ear


@pytest.fixture
def watcher(broker):
    with Watcher(broker) as watcher:
        yield watcher


def test_the_state_is_kept_for_clients_that_come_later_and_so_is_that_we_are_gone(tmp_path, broker):
    ear = Ear(tmp_path, configured(broker))
    with ear.member:
        ear.member.enter("listening")
        ear.member.post_turn({"verdict": "done"})
        wait_until(lambda: ear.status() == "connected")
        with Watcher(broker) as watcher:
            watcher.wait(f"{BASE}/availability", lambda text: text == "online")
            state = watcher.wait(f"{BASE}/state", lambda state: state["state"] == "listening")
            assert state == {"state": "listening", "muted": False, "volume": 40}
            assert watcher.wait(f"{BASE}/turn") == {"verdict": "done"}
            config = "homeassistant/switch/jarvis_ear_kitchen/mute/config"
            assert watcher.wait(config)["command_topic"] == f"{BASE}/mute/set"
            ear.percent = 41  # nothing tells of it
            watcher.wait(f"{BASE}/state", lambda state: state["volume"] == 41)
    with Watcher(broker) as later:
        later.wait(f"{BASE}/availability", lambda text: text == "offline")
        later.wait(f"{BASE}/state")  # in any order
        later.wait(config)
        assert {f"{BASE}/state", config} <= later.retained


def test_commands_are_carried_out_and_the_new_state_follows(ear, watcher):
    watcher.publish(f"{BASE}/mute/set", "ON")
    watcher.wait(f"{BASE}/state", lambda state: state["muted"])
    assert ear.mute.by == (BROKER,)
    watcher.publish(f"{BASE}/mute/set", "OFF")
    watcher.wait(f"{BASE}/state", lambda state: not state["muted"])
    watcher.publish(f"{BASE}/volume/set", "70")
    watcher.wait(f"{BASE}/state", lambda state: state["volume"] == 70)
    watcher.publish(f"{BASE}/listen/set", "PRESS")
    watcher.publish(f"{BASE}/stop/set", "PRESS")
    watcher.publish(f"{BASE}/say/set", "Dinner is ready")
    wait_until(lambda: ear.said)
    assert (ear.said, ear.asked) == (["Dinner is ready"], ["listen", "stop"])
    assert ear.member.counters()["mqtt_refused"] == 0


def test_hostile_messages_are_counted_and_told_once(ear, watcher, caplog):
    hostile = {
        "mute": (b"", b"\xff\xfe", b"[" * 7000, b'{"a": 1}'),
        "volume": (b"9" * 7000, b"-0"),
        "say": (b"canary\0",),
        "x/y": (b"",),
        "nothing": (b"canary",),
    }
    for name, payloads in hostile.items():
        for payload in payloads:
            watcher.publish(f"{BASE}/{name}/set", payload)
    watcher.publish(f"{BASE}/say/set", b"x" * 200_000)  # the broker keeps it from us
    expected = sum(map(len, hostile.values())) - 1  # x/y is no topic of ours
    wait_until(lambda: ear.member.counters()["mqtt_refused"] == expected)
    watcher.publish(f"{BASE}/volume/set", b"3")
    watcher.wait(f"{BASE}/state", lambda state: state["volume"] == 3)
    told = [each for each in caplog.records if each.levelno == logging.WARNING]
    assert [each.EVENT for each in told] == ["BrokerCommand"]
    assert "mute: expected ON or OFF" in told[0].message
    assert "canary" not in caplog.text
    assert ear.status() == "connected"


def test_a_flood_of_commands_is_cut_and_an_old_one_is_not_obeyed(ear, broker, watcher):
    watcher.publish(f"{BASE}/listen/set", "PRESS", retain=True)
    wait_until(lambda: ear.asked)
    watcher.publish(f"{BASE}/stop/set", *["PRESS"] * 100)
    wait_until(lambda: len(ear.asked) + ear.member.counters()["mqtt_refused"] >= 101)
    assert BURST <= len(ear.asked) < 90
    ear.member.prepare(configured(broker, discovery=""))()  # a new connection
    wait_until(lambda: ear.status() == "connected")
    watcher.publish(f"{BASE}/volume/set", "3")
    watcher.wait(f"{BASE}/state", lambda state: state["volume"] == 3)
    assert ear.asked.count("listen") == 1


def test_a_broker_that_restarts_gets_everything_again(ear, broker, caplog):
    caplog.set_level(logging.INFO)
    ear.member.post_turn({"verdict": "expired"})
    broker.kill()
    wait_until(lambda: ear.status() == "disconnected")
    began = time.monotonic()
    for state in ("listening", "capturing", "thinking", "idle") * 50:
        ear.member.enter(state)
        ear.member.post_turn({"verdict": "done", "state": state})
    assert time.monotonic() - began < 5
    assert ear.member.health()["mqtt_reason"]
    broker.start()
    with Watcher(broker) as watcher:
        watcher.wait(f"{BASE}/state", lambda state: state["state"] == "idle")
        assert watcher.wait(f"{BASE}/turn") == {"verdict": "done", "state": "idle"}
        watcher.wait(f"{BASE}/availability", lambda text: text == "online")
        watcher.wait("homeassistant/notify/jarvis_ear_kitchen/say/config")
    assert ear.member.counters()["mqtt_replaced"] >= 199
    told = [each.EVENT for each in caplog.records if each.levelno >= logging.INFO]
    assert told.count("BrokerUnreachable") == 1
    assert told[-1] == "BrokerReached"


def test_a_login_that_is_refused_is_told_and_a_reload_mends_it(tmp_path, caplog):
    with Broker(tmp_path, login=("ear", "canary-1")) as broker:
        wrong = configured(broker, user="ear", password=SecretStr("canary-2"))
        ear = Ear(tmp_path, wrong)
        with ear.member:
            wait_until(lambda: ear.status() == "auth_failed")
            [told] = [each for each in caplog.records if each.levelno == logging.WARNING]
            assert ("BrokerRejects", broker.url) == (told.EVENT, told.BROKER)
            assert "does not accept the login: not authorized" in told.message
            right = configured(broker, user="ear", password=SecretStr("canary-1"))
            ear.member.prepare(right)()
            wait_until(lambda: ear.status() == "connected")
            with Watcher(broker) as watcher:
                watcher.wait(f"{BASE}/availability", lambda text: text == "online")
                ear.member.prepare(Config())()
                watcher.wait(f"{BASE}/availability", lambda text: text == "offline")
            assert ear.status() == "off"
    assert "canary" not in caplog.text


def test_with_tls_the_certificate_is_verified(tmp_path, caplog):
    authority = Authority(tmp_path)
    tls = authority.vouch("broker", "IP:127.0.0.1")
    with Broker(tmp_path, tls=tls) as broker:
        url = f"mqtts://127.0.0.1:{broker.port}"
        ear = Ear(tmp_path, configured(broker, url=url))
        with ear.member:
            wait_until(lambda: ear.status() == "disconnected")
            assert "certificate" in ear.member.health()["mqtt_reason"]
            ca_file = authority.certificate.cert
            ear.member.prepare(configured(broker, url=url, ca_file=ca_file))()
            wait_until(lambda: ear.status() == "connected")
        with pytest.raises(ConfigError, match=r"mqtt\.ca_file: .*gone"):
            ear.member.prepare(configured(broker, url=url, ca_file=tmp_path / "gone"))


def test_a_certificate_authority_does_not_turn_a_plain_broker_into_one_with_tls(tmp_path, broker):
    ear = Ear(tmp_path, configured(broker, ca_file=Authority(tmp_path).certificate.cert))
    with ear.member:
        wait_until(lambda: ear.status() == "connected")


@pytest.mark.parametrize("says", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x20" + b"\xff" * 4])
def test_a_server_that_is_no_broker_is_left_in_time(tmp_path, says, monkeypatch):
    """One that says nothing is left at once at a stop."""
    monkeypatch.setattr(client, "Timing", partial(Timing, connect_s=0.5 if says else 60))
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"mqtt://127.0.0.1:{server.getsockname()[1]}"
        ear = Ear(tmp_path, Config(mqtt=MqttOptions(url=url)))
        with ear.member:
            peer, _ = server.accept()
            with peer:
                peer.sendall(says)
                if says:
                    wait_until(lambda: ear.status() == "disconnected")
                began = time.monotonic()
                ear.member.__exit__()
    assert time.monotonic() - began < 2


def test_a_broker_that_acknowledges_nothing_is_left_and_delays_nobody(
    tmp_path, monkeypatch, caplog
):
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(client, "Timing", partial(Timing, dead_s=0.3))
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"mqtt://127.0.0.1:{server.getsockname()[1]}"
        ear = Ear(tmp_path, Config(mqtt=MqttOptions(url=url)))
        with ear.member:
            peer, _ = server.accept()
            with peer:
                peer.recv(4096)
                peer.sendall(CONNACK)
                peer.recv(4096)
                peer.sendall(SUBACK)
                wait_until(lambda: ear.status() == "connected")
                began = time.monotonic()
                for number in range(1000):
                    ear.member.post_turn({"number": number})
                assert time.monotonic() - began < 2
                wait_until(lambda: "has acknowledged nothing for 0.3 s" in caplog.text)
    assert "it does not let the ear take commands" in caplog.text
    assert ear.member.counters()["mqtt_replaced"] > 900


def test_a_second_ear_of_the_same_name_takes_its_place_and_that_is_told(
    tmp_path, broker, ear, caplog
):
    (tmp_path / "other").mkdir()
    other = Ear(tmp_path / "other", configured(broker))
    with other.member:
        wait_until(lambda: "the broker closed the connection" in caplog.text)
    wait_until(lambda: ear.status() == "connected")


def test_the_whole_ear_publishes_a_turn(real_backend, tmp_path, broker):
    options = (
        *("--backend-url", real_backend, "--input", str(RECORDING), "--speaker.device", "none"),
        *("--microphone.fast", "--mqtt.url", broker.url, "--backend.agent-id", "kitchen"),
    )
    with Watcher(broker) as watcher, RunningEar(tmp_path, os.environ, *options) as ear:
        assert ear.wait_ended() == 0
        watcher.wait(f"{BASE}/availability", lambda text: text == "offline")
        turn = watcher.wait(f"{BASE}/turn")
        assert (turn["verdict"], turn["heard_reason"]) == ("done", "no_speaker")
        assert 800 <= turn["answer_ms"] < 20_000
        assert "what time" not in json.dumps(watcher.messages)
        keys = {"muted", "muted_by", "hearing", "connected", "volume", "near_misses"}
        assert set(watcher.wait(f"{BASE}/state")) == {"state", *keys}
    assert len(watcher.messages) < client_module.MAX_TOPICS
