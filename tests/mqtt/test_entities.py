"""Topics, commands and discovery: what is published and what is accepted, without a broker."""

import json
import re
from pathlib import Path

import pytest
from pydantic import SecretStr

from fakes.turns import TURN, ScriptedTurns
from jarvis_ear.config import Config, MqttOptions
from jarvis_ear.control.commands import MAX_TEXT
from jarvis_ear.delivery.events import Answered, Transcribed, Verdict
from jarvis_ear.errors import ConfigError, RemoteProtocolError
from jarvis_ear.hearing.events import State
from jarvis_ear.mqtt.client import BrokerCommands, BrokerQueue, require_usable
from jarvis_ear.mqtt.entities import (
    COMMANDS,
    MAX_PAYLOAD,
    Incoming,
    Publication,
    Topics,
    discovery,
    node_of,
)
from jarvis_ear.mute import BROKER, CLOCK, OWNER, Mute
from jarvis_ear.turn_trace.json_views import MqttView

DOCS = Path(__file__).parents[2] / "docs"
OPTIONS = MqttOptions(url="mqtt://localhost", may_listen=True)
TOPICS = Topics(OPTIONS, "kitchen")


def test_a_name_becomes_one_level_and_different_names_different_ones():
    assert node_of("kitchen") == "kitchen"
    strange = {
        node_of(name) for name in ("living room", "living/room", "living+room", "#", "Küche")
    }
    assert len(strange) == 5
    assert all(re.fullmatch(r"[A-Za-z0-9_-]+", node) for node in strange)


@pytest.mark.parametrize(
    ("name", "payload", "value"),
    [
        ("mute", b"ON", "on"),
        ("mute", b"OFF", "off"),
        ("volume", b"0", "0"),
        ("volume", b"100.0", "100"),
        ("listen", b"PRESS", ""),
        ("say", " Essen\n ist  fertig, Jürgen ".encode(), "Essen ist fertig, Jürgen"),
    ],
)
def test_a_valid_command_is_taken(name, payload, value):
    command = TOPICS.command_of(Incoming(f"jarvis-ear/kitchen/{name}/set", payload))
    assert (command.name, command.value) == (name, value)


@pytest.mark.parametrize(
    ("name", "payload"),
    [
        ("mute", b"on"),
        ("mute", b""),
        ("mute", b'{"state": "ON"}'),
        *(
            ("volume", text)
            for text in (b"101", b"-1", b"1e2", b"nan", b"40.5", "٤٠".encode(), b"")
        ),
        ("listen", b"x"),
        ("say", b" \n "),
        ("say", b"x" * (MAX_TEXT + 1)),
        ("say", b"canary\x1b[2J"),
        ("say", b"canary\xff"),
        ("say", b"canary" * MAX_PAYLOAD),
        ("reboot", b"canary"),
        ("../kitchen/mute", b"ON"),
    ],
)
def test_any_other_one_is_refused_and_not_repeated(name, payload):
    with pytest.raises(RemoteProtocolError, match="expected") as refused:
        TOPICS.command_of(Incoming(f"jarvis-ear/kitchen/{name}/set", payload))
    assert "canary" not in str(refused.value)
    assert len(str(refused.value)) < 300


def test_an_old_command_that_the_broker_has_kept_is_refused():
    with pytest.raises(RemoteProtocolError, match="mute: a retained message"):
        TOPICS.command_of(Incoming("jarvis-ear/kitchen/mute/set", b"ON", is_retained=True))


def configs(options: MqttOptions) -> dict[str, dict]:
    """The discovery by entity; an entity that is not offered is empty."""
    found = list(discovery(options, "kitchen"))
    assert all(each.retain for each in found)
    place = re.compile(r"homeassistant/([a-z_]+)/jarvis_ear_kitchen/([a-z_]+)/config")
    return {
        ".".join(place.fullmatch(each.topic).groups()): json.loads(each.payload or "{}")
        for each in found
    }


def test_home_assistant_discovers_one_device_with_all_entities():
    found = configs(OPTIONS)
    assert len({each["unique_id"] for each in found.values()}) == len(found) == 10
    assert {tuple(each["device"]["identifiers"]) for each in found.values()} == {
        ("jarvis_ear_kitchen",)
    }
    assert {each["availability_topic"] for each in found.values()} == {TOPICS.availability}
    commands = [each["command_topic"] for each in found.values() if "command_topic" in each]
    assert sorted(commands) == sorted(map(TOPICS.command, COMMANDS))
    told = {each["state_topic"] for each in found.values() if "state_topic" in each}
    assert told == {TOPICS.state, TOPICS.turn}
    assert found["sensor.state"]["options"] == [str(state) for state in State]
    assert found["sensor.answer"]["value_template"] == "{{ value_json.answer_ms }}"
    assert (found["number.volume"]["min"], found["number.volume"]["max"]) == (0, 100)


def test_what_is_not_allowed_is_not_offered():
    assert configs(MqttOptions(url="mqtt://localhost"))["button.listen"] == {}
    assert list(discovery(MqttOptions(url="mqtt://localhost", discovery=""), "kitchen")) == []


def test_the_page_has_every_topic_entity_and_key():
    page = (DOCS / "mqtt.md").read_text()
    assert [name for name in COMMANDS if f"/{name}/set` |" not in page] == []
    names = [each["name"] for each in configs(OPTIONS).values()]
    assert [name for name in names if f"| {name} |" not in page] == []
    keys = {*turn_of(transcripts=True), "state", "muted", "muted_by", "hearing", "connected"}
    assert [key for key in (*keys, "volume", "near_misses") if f"`{key}`" not in page] == []


def test_a_newer_value_replaces_one_that_waits():
    queue = BrokerQueue()
    for topic, payload in (("a", "1"), ("b", "1"), ("a", "2"), ("a", "3")):
        queue.post(Publication(topic, payload))
    assert {each.topic: each.payload for each in queue.drain()} == {"a": "3", "b": "1"}
    assert (queue.replaced, queue.dropped) == (2, 0)


@pytest.fixture
def mute(tmp_path):
    return Mute(tmp_path, None)


def command(name, value=""):
    payload = {"on": "ON", "off": "OFF"}.get(value, value or "PRESS")
    return TOPICS.command_of(Incoming(TOPICS.command(name), payload.encode()))


def test_the_broker_ends_only_its_own_mute_unless_it_may_more(mute):
    commands = BrokerCommands(mute, OPTIONS)
    assert commands.carry_out(command("mute", "on")) == {}
    assert mute.by == (BROKER,)
    mute.mute(OWNER)
    assert "muted by the owner" in commands.carry_out(command("mute", "off"))["error"]
    assert mute.by == (OWNER,)
    commands.change(OPTIONS.model_copy(update={"may_unmute": True}))
    assert commands.carry_out(command("mute", "off")) == {}
    assert mute.by == ()
    assert commands.carry_out(command("mute", "off")) == {}
    mute.mute(CLOCK)
    assert commands.carry_out(command("mute", "off")) == {}


def test_it_may_not_make_the_ear_listen_unless_allowed(mute):
    commands = BrokerCommands(mute, MqttOptions(url="mqtt://localhost"))
    assert commands.carry_out(command("listen")) == {"error": "expected mqtt.may_listen"}


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"url": "mqtt://10.0.0.5"}, "mqtt.url: mqtt://10.0.0.5 could be read and forged"),
        ({"url": "mqtts://b", "password": SecretStr("canary")}, "mqtt.password: expected mqtt.us"),
    ],
)
def test_a_broker_that_cannot_be_trusted_is_refused(options, reason):
    with pytest.raises(ConfigError, match=reason) as refused:
        require_usable(MqttOptions(**options))
    assert "canary" not in str(refused.value)
    require_usable(MqttOptions(url="mqtt://10.0.0.5", allow_plaintext=True))


@pytest.mark.parametrize("bad", ["mqtt://user:pass@host", "http://host", "mqtt://", "mqtt://h:0"])
def test_an_address_without_a_broker_is_a_mistake(bad):
    with pytest.raises(ValueError, match="mqtt:// or mqtts://"):
        MqttOptions(url=bad)
    for topic in ("a/#", "+", "/a", "a//b", "a b"):
        with pytest.raises(ValueError, match="between levels"):
            MqttOptions(topic=topic)


def turn_of(*, transcripts: bool) -> dict:
    """What is published of a turn in which a secret is said."""
    states, turns = [], []
    view = MqttView(states.append, turns.append)
    scene = ScriptedTurns(view, transcripts=False)
    options = MqttOptions(url="mqtt://localhost", transcripts=transcripts)
    scene.history.change(Config(mqtt=options))
    scene.wake().capture().wait(40).send().tell(Transcribed(TURN, "my secret"))
    scene.tell(Answered(TURN, "your secret")).finish(Verdict.FAILED, "refused")
    scene.enter(State.IDLE, "Failed(refused)")
    assert states == ["listening", "capturing", "thinking", "idle"]
    [turn] = turns
    return turn


def test_words_are_published_only_if_the_owner_wants_that():
    turn = turn_of(transcripts=False)
    assert "secret" not in json.dumps(turn)
    assert (turn["verdict"], turn["cause"], turn["answer_ms"]) == ("failed", "refused", 840)
    assert (turn["wake_score"], turn["speech_ms"], turn["heard"]) == (0.97, 1620, "none")
    told = turn_of(transcripts=True)
    assert (told["transcript"], told["reply"]) == ("my secret", "your secret")
    assert told.items() > turn.items()
