"""Over TLS we speak to whom we mean, or to nobody."""

import asyncio
import logging
import shutil

import pytest

from fakes.ear import PASSWORD, ear
from fakes.tls import Authority, TlsFront
from fakes.voice_server import VoiceServer
from jarvis_ear.backend import BackendClient
from jarvis_ear.config import BackendOptions
from jarvis_ear.delivery.events import Verdict
from jarvis_ear.delivery.timeouts import Timing
from jarvis_ear.errors import ConfigError, ConnectFailed
from jarvis_ear.link.socketio import SocketIoLink
from jarvis_ear.link.tls_and_tcp import TrustStore

pytestmark = pytest.mark.skipif(
    shutil.which("openssl") is None, reason="openssl is not installed: apt install openssl"
)


@pytest.fixture(scope="module")
def ours(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("ours"))


@pytest.fixture(scope="module")
def theirs(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("theirs"))


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with VoiceServer(tmp_path_factory.mktemp("server")) as server:
        yield server


def test_a_backend_that_our_authority_vouches_for_is_spoken_to(ours, server):
    good = ours.vouch("good", "DNS:localhost,IP:127.0.0.1")
    for host in ("localhost", "127.0.0.1"):
        with TlsFront(server.port, good) as front:
            url, ca_file = f"https://{host}:{front.port}", ours.certificate.cert
            with ear(url, ca_file=ca_file) as (client, told):
                assert client.connect()
                assert told.end_of(client.send_audio(bytes(6400))).verdict is Verdict.DONE
            assert front.shaken == 2  # the login, and the link


@pytest.mark.parametrize(
    "case",
    [
        (True, lambda _ours, theirs: theirs.vouch("foreign", "IP:127.0.0.1")),
        (False, lambda _ours, theirs: theirs.vouch("foreign", "IP:127.0.0.1")),
        (True, lambda _ours, theirs: theirs.certificate),
        (True, lambda ours, _theirs: ours.vouch("bad", "DNS:other.example")),
        (True, lambda ours, _theirs: ours.vouch("bad", "IP:127.0.0.1", days=-1)),
    ],
    ids=["unknown_authority", "no_authority", "self_signed", "another_host", "expired"],
)
def test_a_certificate_is_refused(ours, theirs, server, caplog, case):
    caplog.set_level(logging.DEBUG, logger="jarvis_ear")
    knows_ours, certificate = case
    ca_file = ours.certificate.cert if knows_ours else None
    with TlsFront(server.port, certificate(ours, theirs)) as front:
        with ear(f"https://127.0.0.1:{front.port}", ca_file=ca_file) as (client, _):
            assert not client.connect()
        assert front.shaken == 0
    assert PASSWORD not in caplog.text


@pytest.mark.parametrize("host", ["DNS:other.example", "DNS:localhost,IP:127.0.0.1"])
def test_the_link_looks_as_closely_as_the_login(ours, theirs, server, host):
    authority = ours if host.startswith("DNS:other") else theirs

    async def attempt(url):
        trust_store = TrustStore(ours.certificate.cert)
        link = SocketIoLink(url, "den", Timing(), lambda: None, trust_store)
        try:
            with pytest.raises(ConnectFailed):
                await link.open("canary-first-1")
        finally:
            await link.close()

    with TlsFront(server.port, authority.vouch("link", host)) as front:
        asyncio.run(attempt(f"https://127.0.0.1:{front.port}"))
        assert front.shaken == 0


def test_there_is_no_switch_that_trusts_anybody():
    assert [n for n in BackendOptions.model_fields if "verify" in n or "insecure" in n] == []


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_an_authority_that_is_none_is_a_mistake_of_the_configuration(tmp_path, content):
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ConfigError, match=r"^backend\.ca_file: .*ca\.pem: .*expected"):
        BackendClient(BackendOptions(url="https://localhost", ca_file=path))
