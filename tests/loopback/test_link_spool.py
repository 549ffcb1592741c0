"""No utterance is lost or repeated by a kill, a stop or other options."""

import json
from contextlib import contextmanager

import pytest

from fakes.ear import PASSWORD, ear
from fakes.told import Told
from fakes.voice_server import VoiceServer, free_port, wait_until
from jarvis_ear import backend
from jarvis_ear.backend import BackendClient, pcm_to_wav
from jarvis_ear.config import BackendOptions
from jarvis_ear.delivery.events import Finished, Kept, Verdict
from jarvis_ear.delivery.transitions import SpoolState
from jarvis_ear.delivery.utterance import Utterance
from jarvis_ear.errors import ConfigError
from jarvis_ear.spool.ledger import Ledger
from jarvis_ear.spool.store import BootClock, DiskSpool, Spool

SPEECH = bytes(range(256)) * 125


@contextmanager
def spool(folder):
    clock = BootClock.of_this_machine()
    disk = DiskSpool(folder / "run", Ledger(folder / "state", clock), clock)
    disk.lock()
    try:
        yield disk
    finally:
        disk.close()


@contextmanager
def spooled(folder, url, **changes):
    with spool(folder) as disk, ear(url, spool=disk, **changes) as (client, told):
        client.start()
        yield client, told


def recorded(folder):
    lines = (folder / "state" / "ledger.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def verdicts(folder):
    return {told["turn"]: told["verdict"] for told in recorded(folder)}


def left(folder):
    return [path for path in (folder / "run").rglob("*-*") if path.is_file()]


def leave(folder, turn_id, state, age_s=0.0):
    """Leave what an ear leaves that is killed at this moment."""
    with spool(folder) as disk:
        now = BootClock.of_this_machine()()
        disk.keep(Utterance(turn_id, pcm_to_wav(SPEECH), len(SPEECH), now - age_s))
        disk.set_state(turn_id, state)


def test_a_turn_leaves_its_verdict_and_no_sound(tmp_path):
    with VoiceServer(tmp_path) as server, spooled(tmp_path, server.url) as (client, told):
        client.extend("0a1b2c3d", 0, SPEECH[:16_000])
        turn_id = client.send_audio(SPEECH, turn_id="0a1b2c3d")
        assert told.end_of(turn_id).verdict is Verdict.DONE
    assert verdicts(tmp_path) == {turn_id: "done"}
    assert left(tmp_path) == []
    assert SPEECH[:16] not in (tmp_path / "state" / "ledger.jsonl").read_bytes()


def test_what_was_heard_of_a_reply_follows_its_verdict(tmp_path):
    with VoiceServer(tmp_path) as server, spooled(tmp_path, server.url) as (client, told):
        turn_id = client.send_audio(SPEECH)
        assert told.end_of(turn_id).verdict is Verdict.DONE
        client.heard(turn_id, "part", "speaker_lost")  # and the end comes at once
    verdict, heard = recorded(tmp_path)
    assert (verdict["turn"], "heard" in verdict) == (turn_id, False)
    assert (heard["turn"], heard["heard"]) == (turn_id, "part")
    assert heard["heard_reason"] == "speaker_lost"


def test_stopped_while_it_waits_it_goes_up_in_the_next_life(tmp_path):
    with spooled(tmp_path, f"http://127.0.0.1:{free_port()}") as (client, told):
        turn_id = client.send_audio(SPEECH)
    assert told.all(Kept) == [Kept(turn_id)]
    assert told.all(Finished) == []
    with VoiceServer(tmp_path) as server, spooled(tmp_path, server.url) as (_, told):
        assert told.end_of(turn_id).verdict is Verdict.DONE
        assert len(server.received("end")) == 1
    assert verdicts(tmp_path) == {turn_id: "done"}


def test_a_client_that_is_started_again_goes_on_as_well(tmp_path):
    with VoiceServer(tmp_path) as server:
        server.kill()
        with spooled(tmp_path, server.url) as (client, told):
            client.extend("00000001", 0, SPEECH)
            turn_id = client.send_audio(SPEECH)
            client.disconnect()
            assert told.all(Kept) == [Kept(turn_id)]
            server.start()
            client.start()
            assert told.end_of(turn_id).verdict is Verdict.DONE
            assert len(left(tmp_path)) == 1  # somebody is still speaking
            client.send_audio(SPEECH, turn_id="00000001")
            assert told.end_of("00000001").verdict is Verdict.DONE
    assert set(verdicts(tmp_path).values()) == {"done"}


@pytest.mark.parametrize(
    ("mark", "age_s", "verdict", "runs"),
    [
        (SpoolState.NEW, 0.0, Verdict.DONE, 1),
        (SpoolState.NEW, 31.0, Verdict.EXPIRED, 0),
        (SpoolState.SENT, 0.0, Verdict.IN_DOUBT, 0),
        (SpoolState.TAKEN, 0.0, Verdict.REPLY_LOST, 0),
    ],
)
def test_killed_at_any_moment_it_has_one_verdict(tmp_path, mark, age_s, verdict, runs):
    leave(tmp_path, "0a1b2c3d", mark, age_s)
    with VoiceServer(tmp_path) as server:
        for _ in range(2):
            with spooled(tmp_path, server.url) as (client, told):
                next_one = client.send_audio(SPEECH)
                assert told.end_of(next_one).verdict is Verdict.DONE
                ends = [end for end in told.all(Finished) if end.turn_id != next_one]
                assert [end.verdict for end in ends] in ([verdict], [])
        assert len(server.received("end")) == runs + 2
    assert verdicts(tmp_path)["0a1b2c3d"] == str(verdict)


def test_at_least_once_it_goes_up_again(tmp_path):
    leave(tmp_path, "0a1b2c3d", SpoolState.SENT)
    options = {"delivery": "at_least_once"}
    with VoiceServer(tmp_path) as server, spooled(tmp_path, server.url, **options) as (_, told):
        assert told.end_of("0a1b2c3d").verdict is Verdict.DONE
        assert len(server.received("end")) == 1


def test_what_was_no_utterance_leaves_nothing(tmp_path):
    with VoiceServer(tmp_path) as server, spooled(tmp_path, server.url) as (client, told):
        client.extend("00000001", 0, SPEECH)
        client.discard("00000001")
        told.end_of(client.send_audio(SPEECH, turn_id="00000002"))
    assert left(tmp_path) == []
    assert verdicts(tmp_path) == {"00000002": "done"}


BOUNDS = """commands_dropped utterances_dropped stray_messages messages_refused links_flooded
repeated_sentences late_sentences replies_too_big spool_failures spool_foreign_files
ledger_unwritten connections_refused"""


def test_every_bound_has_a_counter(tmp_path):
    with VoiceServer(tmp_path) as server, spooled(tmp_path, server.url) as (client, told):
        before = client.counters()
        told.end_of(client.send_audio(SPEECH))
        assert set(BOUNDS.split()) <= set(client.counters())
    assert set(before.values()) <= {0}


def test_a_hostile_backend_is_counted_over_all_lives(tmp_path):
    with VoiceServer(tmp_path) as server:
        server.kill()
        server.start(reply="hostile")
        client = BackendClient(BackendOptions(url=server.url, password=PASSWORD))
        counts = []
        for _ in range(2):
            told = client._on_event = Told()
            with client:
                told.end_of(client.send_audio(SPEECH))
            counts.append(client.counters()["messages_refused"])
    assert 0 < counts[0] < counts[1]


def options(url, **more):
    return BackendOptions(url=url, password=PASSWORD, **more)


def test_it_leaves_one_backend_and_reaches_another(tmp_path):
    servers = VoiceServer(tmp_path), VoiceServer(tmp_path)
    with servers[0] as one, servers[1] as two, spooled(tmp_path, one.url) as (client, told):
        client.send_audio(SPEECH, turn_id="first")
        assert told.end_of("first").verdict is Verdict.DONE
        wait_until(lambda: client.idle)
        client.prepare(options(two.url))()
        client.send_audio(SPEECH, turn_id="second")
        assert told.end_of("second").verdict is Verdict.DONE
        assert len(one.received("end")) == len(two.received("end")) == 1


def test_it_changes_again_and_again(tmp_path):
    with VoiceServer(tmp_path) as server, spooled(tmp_path, server.url) as (client, told):
        assert client.connect()
        for turn in range(5):
            client.prepare(options(server.url, reply_s=10 + turn))()
            client.prepare(options(server.url, reply_s=20 + turn))()
            client.send_audio(SPEECH, turn_id=f"turn{turn}")
            assert told.end_of(f"turn{turn}").verdict is Verdict.DONE
        assert len(server.received("end")) == 5
        client.disconnect()
    assert client.idle


def test_what_cannot_be_used_is_refused_and_nothing_changes(tmp_path):
    with VoiceServer(tmp_path) as server, ear(server.url) as (client, _told):
        assert client.connect()
        with pytest.raises(ConfigError, match="unencrypted"):
            client.prepare(options("http://198.51.100.1"))
        with pytest.raises(ConfigError, match="ca_file"):
            client.prepare(options("https://localhost", ca_file=tmp_path / "none.pem"))
        assert client.connected


def test_before_the_start_it_starts_with_them(tmp_path):
    with VoiceServer(tmp_path) as server, ear("http://127.0.0.1:9") as (client, _told):
        client.prepare(options(server.url))()
        assert client.connect()
        client.disconnect()
        client.prepare(options(server.url))()  # and after the end nothing happens


class ChangingSpool(Spool):
    """Changes the options at the moment at which a life of the network thread begins."""

    def __init__(self):
        self.change = None

    def begin(self, fresh_s, guarantee):
        change, self.change = self.change, None
        if change is not None:
            change()
        return super().begin(fresh_s, guarantee)


def test_what_belongs_to_different_options_never_meets(tmp_path, monkeypatch):
    met = []

    class Outbox(backend.Outbox):
        def __init__(self, agent_id, *args, **more):
            met.append([agent_id])
            super().__init__(agent_id, *args, **more)

    class Login(backend.Login):
        def __init__(self, url, password, *args):
            met[-1] += [url, password]
            super().__init__(url, password, *args)

    monkeypatch.setattr(backend, "Outbox", Outbox)
    monkeypatch.setattr(backend, "Login", Login)
    spool, told = ChangingSpool(), Told()
    with VoiceServer(tmp_path) as one, VoiceServer(tmp_path) as two:
        first = BackendOptions(url=one.url, password="secret of one", agent_id="one")
        second = BackendOptions(url=two.url, password=PASSWORD, agent_id="two")
        client = BackendClient(first, on_event=told, spool=spool)
        session = client._session
        spool.change = client.prepare(second)
        assert client._session is session
        with client:
            wait_until(lambda: client.connected)
            assert told.end_of(client.send_audio(SPEECH)).verdict is Verdict.DONE
        assert met == [["one", one.url, "secret of one"], ["two", two.url, "open sesame"]]
