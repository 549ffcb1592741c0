import os
import socket
import sys
import types

import pytest

from fakes.notify import NotifySocket
from jarvis_ear.systemd import notify
from jarvis_ear.systemd.notify import Notifier, open_notifier, watchdog_s


@pytest.fixture
def without_library(monkeypatch):
    monkeypatch.setitem(sys.modules, "systemd", None)
    monkeypatch.setitem(sys.modules, "systemd.daemon", None)


@pytest.fixture
def library(monkeypatch):
    """Stand in for systemd-python: it reads the environment at every call, and waits for room."""
    daemon = types.ModuleType("systemd.daemon")

    def say(text: str) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
            line.settimeout(5)
            line.sendto(text.encode(), os.environ["NOTIFY_SOCKET"])

    daemon.notify = say
    package = types.ModuleType("systemd")
    package.daemon = daemon
    monkeypatch.setitem(sys.modules, "systemd", package)
    monkeypatch.setitem(sys.modules, "systemd.daemon", daemon)


@pytest.mark.parametrize("abstract", [False, True], ids=["path", "abstract"])
def test_a_datagram_reaches_the_manager(tmp_path, without_library, abstract):
    with NotifySocket(tmp_path, abstract=abstract) as manager:
        environ = {"NOTIFY_SOCKET": manager.address, "HOME": "/"}
        open_notifier(environ).tell("READY=1", "STATUS=listening")
        heard = manager.wait_for("READY")
    assert dict(heard.values) == {"READY": "1", "STATUS": "listening"}
    assert environ == {"HOME": "/"}


@pytest.mark.parametrize("way", ["library", "systemd-python"])
def test_the_library_is_used_if_it_is_installed(tmp_path, monkeypatch, request, way):
    if way == "library":
        request.getfixturevalue(way)
    else:
        pytest.importorskip("systemd.daemon", reason="systemd-python is not installed")
    with NotifySocket(tmp_path) as manager:
        monkeypatch.setenv("NOTIFY_SOCKET", manager.address)
        open_notifier(os.environ).tell("RELOADING=1", "MONOTONIC_USEC=5")
        values = dict(manager.wait_for("RELOADING").values)
        assert os.environ["NOTIFY_SOCKET"] == manager.address  # the library looks there
    assert values == {"RELOADING": "1", "MONOTONIC_USEC": "5"}


@pytest.mark.parametrize("address", ["", "nonsense", "vsock:2:1"])
def test_without_an_address_nothing_is_sent(address, monkeypatch):
    environ = {"NOTIFY_SOCKET": address}
    notifier = open_notifier(environ)
    monkeypatch.setattr(socket, "socket", None)
    notifier.tell("READY=1")
    assert (notifier.dropped, environ) == (0, {})


@pytest.mark.parametrize("way", ["without_library", "library"])
def test_a_manager_that_does_not_read_does_not_block(tmp_path, monkeypatch, request, way):
    request.getfixturevalue(way)
    address = str(tmp_path / "deaf")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as deaf:
        deaf.bind(address)
        monkeypatch.setenv("NOTIFY_SOCKET", address)
        notifier = open_notifier(os.environ)
        while notifier.dropped == 0:
            notifier.tell("STATUS=listening")
        notifier.tell("STATUS=listening")
        assert notifier.dropped == 2


@pytest.mark.parametrize("address", ["/nonexistent/notify", "/" + "x" * 200])
def test_a_missing_manager_does_no_harm(address):
    notifier = Notifier(address, notify._datagram)
    notifier.tell("READY=1")
    assert notifier.dropped == 1


@pytest.mark.parametrize(
    ("environ", "seconds"),
    [
        ({}, 0),
        ({"WATCHDOG_USEC": "10000000"}, 10),
        ({"WATCHDOG_USEC": "500000", "WATCHDOG_PID": str(os.getpid())}, 0.5),
        ({"WATCHDOG_USEC": "500000", "WATCHDOG_PID": "1"}, 0),
        ({"WATCHDOG_USEC": "soon"}, 0),
        ({"WATCHDOG_USEC": "-5"}, 0),
    ],
)
def test_the_time_out_of_the_watchdog(environ, seconds):
    assert watchdog_s(environ) == seconds
    assert environ == {}
