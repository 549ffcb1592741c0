import asyncio
import errno
import http.client
import socket
import ssl
import threading

import pytest

from jarvis_ear.link.tls_and_tcp import AbandonableTask, address, error_text, is_exposed

UNTRUSTED = ssl.SSLCertVerificationError(1, "secret")
UNTRUSTED.verify_message = "unable to get local issuer certificate"
REFUSED = ConnectionRefusedError(errno.ECONNREFUSED, "http://user:secret@host refused")


@pytest.mark.parametrize(
    ("url", "exposed"),
    [
        ("http://localhost:4000", False),
        ("ws://127.0.0.1:8000/ws", False),
        ("ws://[::1]:8000/ws", False),
        ("http://192.168.1.20:4000", True),
        ("ws://kitchen.local/ws", True),
        ("https://192.168.1.20", False),
        ("wss://kitchen.local/ws", False),
    ],
)
def test_plain_text_to_another_machine_is_exposed(url, exposed):
    assert is_exposed(url) is exposed


def test_an_address_holds_no_password():
    assert address("wss://me:secret@kitchen.local:8000/ws?token=1") == "wss://kitchen.local:8000"


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (REFUSED, "connection refused"),
        (socket.gaierror(socket.EAI_NONAME, "secret"), "unknown host"),
        (socket.gaierror(socket.EAI_NODATA, "secret"), "unknown host"),
        (socket.gaierror(socket.EAI_AGAIN, "secret"), "its name cannot be looked up at present"),
        (socket.gaierror(socket.EAI_FAIL, "secret"), "its name cannot be looked up"),
        (http.client.RemoteDisconnected("secret"), "closed without an answer"),
        (ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER] secret"), "no TLS connection"),
        (ssl.SSLEOFError(8, "secret"), "no TLS connection"),
        (UNTRUSTED, "its certificate is not trusted: unable to get local issuer certificate"),
    ],
)
def test_an_error_is_described_in_the_words_of_the_system(error, words):
    assert error_text(error) == words
    wrapping = ValueError("http://user:secret@host")
    wrapping.__cause__ = error
    assert error_text(wrapping) == words


@pytest.mark.parametrize("kind", [ValueError, OSError])
def test_an_error_without_a_system_error_is_described_by_its_kind(kind):
    assert error_text(kind("secret")) == kind.__name__


def test_a_task_returns_what_the_work_returned():
    async def scene():
        worker = AbandonableTask("worker", threading.current_thread)
        assert not worker.busy
        thread = await worker.start()
        worker.settle()
        assert (thread.name, thread.daemon) == ("worker", True)
        assert not worker.busy

    asyncio.run(scene())


def test_a_task_raises_what_the_work_raised():
    def fail():
        raise SystemExit(3)

    async def scene():
        outcome = AbandonableTask("worker", fail).start()
        await asyncio.wait({outcome})
        assert isinstance(outcome.exception(), SystemExit)

    asyncio.run(scene())


def test_a_task_that_hangs_is_not_waited_for():
    release = threading.Event()

    async def scene():
        worker = AbandonableTask("worker", lambda: release.wait(10))
        outcome = worker.start()
        worker.settle()
        assert worker.busy
        release.set()
        assert await outcome
        worker.settle()
        assert not worker.busy

    asyncio.run(scene())


@pytest.mark.filterwarnings("error")
def test_the_outcome_of_an_abandoned_task_is_ignored():
    release = threading.Event()

    async def scene():
        worker = AbandonableTask("worker", lambda: release.wait(10))
        worker.start().cancel()
        return worker

    worker = asyncio.run(scene())
    release.set()
    while worker.busy:
        worker.settle()
