"""The face of the network: what it takes from where, and what it does not drag in."""

import logging
import sys
import threading
import time

import pytest

from fakes.ear import ear
from fakes.program import run
from fakes.told import Told
from fakes.voice_server import Switches, VoiceServer, wait_until
from jarvis_ear import config as defaults
from jarvis_ear.backend import BackendClient
from jarvis_ear.config import BackendOptions
from jarvis_ear.delivery.events import LinkUp, Verdict
from jarvis_ear.errors import ConfigError
from jarvis_ear.link.registry import WIRES


def test_importing_it_drags_nothing_in():
    unwelcome = ["fastapi", "uvicorn", "onnxruntime", "sounddevice", "openwakeword", "webrtcvad"]
    check = f"import sys, jarvis_ear.backend; print(*set({unwelcome}) & set(sys.modules))"
    result = run([sys.executable, "-c", check])
    assert result.stdout.strip() == ""


def test_making_one_starts_nothing():
    before = threading.active_count()
    client = BackendClient(BackendOptions())
    assert not client.connected
    client.disconnect()
    assert threading.active_count() == before


@pytest.mark.parametrize("given_by", ["environment", "constants"])
def test_without_a_section_the_environment_counts_and_then_the_constants(
    given_by, tmp_path, monkeypatch
):
    with VoiceServer(tmp_path, Switches(password="p4ss")) as server:
        given = {"BACKEND_URL": server.url + "/", "JARVIS_PASSWORD": "p4ss", "AGENT_ID": "den"}
        for name, value in given.items():
            monkeypatch.delenv(name, raising=False)
            if given_by == "environment":
                monkeypatch.setenv(name, value)
            else:
                monkeypatch.setattr(defaults, name, value)
        told = Told()
        with BackendClient(on_event=told) as client:
            assert told.end_of(client.send_audio(bytes(200))).verdict is Verdict.DONE
        assert server.received("start")[0]["payload"] == {"agentId": "den"}


def test_the_built_in_defaults(monkeypatch):
    for name in ("BACKEND_URL", "JARVIS_PASSWORD", "AGENT_ID"):
        monkeypatch.delenv(name, raising=False)
    assert BackendClient()._session.config == BackendOptions()


def test_a_name_in_the_address_is_shown_to_nobody(tmp_path, caplog):
    caplog.set_level(logging.DEBUG, logger="jarvis_ear")
    with VoiceServer(tmp_path) as server:
        address = server.url.replace("//", "//somebody:s3cret@")
        with ear(server.url, url=address) as (client, told):
            client.connect()
            assert told.wait(LinkUp).url == server.url
    assert "s3cret" not in caplog.text


@pytest.mark.parametrize(
    ("url", "warned"),
    [
        ("http://backend.invalid:4000", True),
        ("https://backend.invalid", False),
        ("http://localhost:9", False),
        ("http://127.0.0.1:9", False),
        ("http://[::1]:9", False),
    ],
)
def test_plain_text_over_the_network_is_warned_of(url, warned, caplog):
    with ear("http://localhost", url=url, allow_plaintext=True, connect_s=0.5) as (client, _):
        assert not client.connect()
    said = [each.getMessage() for each in caplog.records if "unencrypted" in each.getMessage()]
    assert len(said) == warned


def test_who_cannot_wait_connects_without_waiting(tmp_path):
    server = VoiceServer(tmp_path)
    with ear(server.url) as (client, _):
        before = time.monotonic()
        assert client.connect(wait_s=0) is False
        assert time.monotonic() - before < 1.0
        with server:
            wait_until(lambda: client.connected)
            assert client.connect(wait_s=0) is True


@pytest.mark.parametrize("protocol", WIRES)
def test_plain_text_over_the_network_is_refused_unless_it_is_allowed(protocol):
    with pytest.raises(ConfigError, match=r"^backend\.url: http://192\.0\.2\.1:4000 "):
        BackendClient(BackendOptions(url="http://192.0.2.1:4000", protocol=protocol))


def test_a_system_without_threads_is_no_reason_to_raise(monkeypatch, caplog):
    def refuse(_thread):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    assert BackendClient(BackendOptions()).connect() is False
    assert "cannot be started" in caplog.text


def test_stopping_from_inside_an_event(tmp_path):
    ended = threading.Event()

    def stop_it(event):
        if isinstance(event, LinkUp):
            client.disconnect()
            ended.set()

    with VoiceServer(tmp_path) as server:
        client = BackendClient(
            BackendOptions(url=server.url, password="open sesame"), on_event=stop_it
        )
        client.start()
        assert ended.wait(5)
        client.disconnect()
        for thread in threading.enumerate():
            if thread.name == "jarvis-ear-network":
                thread.join(5)
                assert not thread.is_alive()


def test_any_kind_of_bytes_will_do(tmp_path):
    with VoiceServer(tmp_path) as server, ear(server.url) as (client, told):
        client.start()
        for sound in (bytes(200), bytearray(200), memoryview(bytes(200))):
            assert told.end_of(client.send_audio(sound)).verdict is Verdict.DONE
        assert {each["bytes"] for each in server.received("end")} == {244}
