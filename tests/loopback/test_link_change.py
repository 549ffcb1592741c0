"""A client goes on with other options: nothing is lost, nothing is repeated."""

from contextlib import contextmanager

import pytest
from pydantic import SecretStr

from fakes.ear import ear
from fakes.told import Told
from fakes.voice_server import VoiceServer, wait_until
from jarvis_ear import backend
from jarvis_ear.backend import BackendClient
from jarvis_ear.config import BackendOptions
from jarvis_ear.delivery.events import Verdict
from jarvis_ear.errors import ConfigError
from jarvis_ear.spool.ledger import Ledger
from jarvis_ear.spool.store import BootClock, DiskSpool, Spool

SPEECH = bytes(range(256)) * 125


def options(url: str, **more) -> BackendOptions:
    return BackendOptions(url=url, password=SecretStr("open sesame"), **more)


@contextmanager
def spooled(folder, url):
    """A client with a spool, as the ear has one."""
    told, clock = Told(), BootClock.of_this_machine()
    spool = DiskSpool(folder / "run", Ledger(folder / "state", clock), clock)
    spool.lock()
    try:
        with BackendClient(options(url), on_event=told, spool=spool) as client:
            yield client, told
    finally:
        spool.close()


def test_it_leaves_one_backend_and_reaches_another(tmp_path):
    servers = VoiceServer(tmp_path), VoiceServer(tmp_path)
    with servers[0] as one, servers[1] as two, spooled(tmp_path, one.url) as (client, told):
        assert client.connect()
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
        second = BackendOptions(url=two.url, password="open sesame", agent_id="two")
        client = BackendClient(first, on_event=told, spool=spool)
        session = client._session
        spool.change = client.prepare(second)
        assert client._session is session
        with client:
            wait_until(lambda: client.connected)
            assert told.end_of(client.send_audio(SPEECH)).verdict is Verdict.DONE
        assert met == [["one", one.url, "secret of one"], ["two", two.url, "open sesame"]]
