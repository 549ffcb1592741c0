import json
import os
import socket
import stat
import threading
import time

import pytest

from fakes.descriptors import no_descriptors
from jarvis_ear.control import server
from jarvis_ear.control import server as module
from jarvis_ear.control.client import ask
from jarvis_ear.control.server import Control

SOON_S = 10.0


@pytest.fixture
def path(tmp_path):
    return tmp_path / "control"


@pytest.fixture
def control(path):
    with Control(path, lambda word: {"you said": word}) as made:
        yield made


def connect(path) -> socket.socket:
    client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    client.settimeout(SOON_S)
    client.connect(str(path))
    return client


def rest_of(client: socket.socket) -> bytes:
    with client:
        return b"".join(iter(lambda: client.recv(4096), b""))


def test_a_word_is_answered(control, path):
    assert ask([path], "status") == {"you said": "status"}
    assert ask([path], "mute") == {"you said": "mute"}


def test_the_socket_is_ours_alone_and_goes_with_us(path):
    with Control(path, lambda _word: {}):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_ISSOCK(path.stat().st_mode)
    assert not path.exists()
    assert "control" not in [thread.name for thread in threading.enumerate()]


def test_a_folder_open_to_our_group_lets_that_group_ask(path):
    path.parent.chmod(0o750)
    with Control(path, lambda _word: {}):
        assert stat.S_IMODE(path.stat().st_mode) == 0o660


@pytest.mark.parametrize("mode", [0o755, 0o711])
def test_a_folder_open_to_everybody_lets_nobody_else_ask(path, mode):
    path.parent.chmod(mode)
    with Control(path, lambda _word: {}):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize(("group", "may"), [(None, False), (70_000, True), (70_001, False)])
def test_of_others_only_members_of_the_invited_group_may_ask(monkeypatch, group, may):
    us, them = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    with us, them:
        monkeypatch.setattr(server, "_CREDENTIALS", SomebodyElse())
        monkeypatch.setattr(server, "_groups", lambda _client: (70_000,))
        assert server.is_welcome(us, group) is may


class SomebodyElse:
    """What the kernel says of a stranger: process, user, group."""

    size = 12

    def unpack(self, _raw):
        return 1, 70_002, 70_002


def test_the_kernel_tells_the_groups_of_who_asks():
    us, them = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    with us, them:
        assert sorted(server._groups(us)) == sorted(os.getgroups())


def test_what_is_left_of_a_killed_ear_is_replaced(path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as dead:
        dead.bind(str(path))
    with Control(path, lambda word: {"you said": word}):
        assert ask([path], "status") == {"you said": "status"}


def test_an_ear_that_lives_keeps_its_socket(control, path, caplog):
    with Control(path, lambda _word: {"who": "the second"}):
        assert ask([path], "status") == {"you said": "status"}
    assert path.exists()
    assert "another ear answers there" in caplog.text


def test_an_ear_without_a_socket_hears_all_the_same(tmp_path, caplog):
    with Control(tmp_path / "missing" / "control", lambda _word: {}):
        pass
    assert "no control socket at" in caplog.text


@pytest.mark.parametrize("sent", [b"x" * 100, b"\n", b"x" * 5000 + b"\n"])
def test_a_request_that_is_none_is_refused(control, path, sent):
    client = connect(path)
    client.sendall(sent)
    try:
        answer = rest_of(client)
    except ConnectionResetError:
        return  # it was closed with our bytes unread
    assert json.loads(answer) == {"error": "expected one word and a line feed"}


def test_bytes_that_are_no_letters_harm_nobody(control, path):
    client = connect(path)
    client.sendall(b"\xff\0\n")
    assert "you said" in json.loads(rest_of(client))
    assert ask([path], "status") == {"you said": "status"}


def test_who_says_nothing_is_not_waited_for_long(control, path, monkeypatch):
    monkeypatch.setattr(module, "CLIENT_S", 0.05)
    with connect(path), connect(path):
        assert ask([path], "status") == {"you said": "status"}


def test_nobody_waits_for_those_who_say_nothing(control, path):
    idle = [connect(path) for _ in range(9)]
    began = time.monotonic()
    assert ask([path], "mute") == {"you said": "mute"}
    assert time.monotonic() - began < module.CLIENT_S / 2
    for client in idle:
        client.close()


def test_whoever_finds_the_queue_full_waits_for_a_place(path, monkeypatch):
    monkeypatch.setattr(server, "WAITING", 1)
    listener, _ = server.listen(path)
    waiting = [connect(path) for _ in range(2)]
    with listener:
        with pytest.raises(TimeoutError, match="accepts nobody"):
            server.connect(path, 0)
        with pytest.raises(TimeoutError, match="accepts nobody"):
            server.connect(path, 0.05)

        def serve_one() -> None:
            listener.accept()[0].close()

        served = threading.Timer(0.1, serve_one)
        served.start()
        server.connect(path, SOON_S).close()
        served.join()
    for client in waiting:
        client.close()


def test_who_says_nothing_is_let_go(control, path, monkeypatch):
    monkeypatch.setattr(module, "CLIENT_S", 0.05)
    assert rest_of(connect(path)) == b""
    client = connect(path)
    client.sendall(b"half a w")
    assert rest_of(client) == b""


def test_a_request_may_come_in_pieces(control, path):
    client = connect(path)
    client.sendall(b"sta")
    assert ask([path], "mute") == {"you said": "mute"}
    client.sendall(b"tus\n")
    assert json.loads(rest_of(client)) == {"you said": "status"}


def test_an_answer_may_be_taken_in_pieces(path):
    with Control(path, lambda _word: {"long": "x" * 4_000_000}):
        client = connect(path)
        client.sendall(b"status\n")
        assert len(rest_of(client)) > 4_000_000


def test_of_one_user_the_oldest_gives_way(control, path):
    idle = [connect(path) for _ in range(module.MAX_OF_ONE_USER)]
    wait_until(lambda: len(control._clients) == module.MAX_OF_ONE_USER)
    assert ask([path], "status") == {"you said": "status"}
    assert rest_of(idle[0]) == b""
    assert control.refused == 1
    for client in idle[1:]:
        client.sendall(b"mute\n")
        assert json.loads(rest_of(client)) == {"you said": "mute"}


def test_of_all_users_the_one_who_has_most_gives_way(control, path, monkeypatch):
    monkeypatch.setattr(module, "MAX_CLIENTS", 4)
    users = iter([7, 8, 8, 9, 7])
    monkeypatch.setattr(server, "peer_user", lambda _client: next(users))
    monkeypatch.setattr(server, "is_welcome", lambda _client, _group: True)
    idle = []
    for number in range(4):
        idle.append(connect(path))
        wait_until(lambda number=number: len(control._clients) == number + 1)
    last = connect(path)
    assert rest_of(idle[1]) == b""
    last.sendall(b"mute\n")
    assert json.loads(rest_of(last)) == {"you said": "mute"}
    for client in (idle[0], *idle[2:]):
        client.close()


@pytest.fixture
def accepts(monkeypatch):
    """One entry for each time that somebody tried to accept a connection."""
    tried, accept = [], socket.socket.accept

    def counted(listener):
        tried.append(listener)
        return accept(listener)

    monkeypatch.setattr(socket.socket, "accept", counted)
    return tried


def test_without_descriptors_it_waits_and_then_serves(path, accepts):
    with Control(path, lambda word: {"you said": word}):
        with no_descriptors():
            waiting = connect(path)
            wait_until(lambda: accepts)
            assert not threading.Event().wait(0.6)
            assert len(accepts) < 6
        waiting.sendall(b"status\n")
        assert json.loads(rest_of(waiting)) == {"you said": "status"}


def wait_until(happens) -> None:
    deadline, pause = time.monotonic() + SOON_S, threading.Event()
    while not happens():
        assert time.monotonic() < deadline
        pause.wait(0.01)


def test_who_goes_away_harms_nobody(control, path):
    for _ in range(5):
        connect(path).close()
    assert ask([path], "status") == {"you said": "status"}


def test_who_does_not_listen_is_not_waited_for_long(path, monkeypatch):
    monkeypatch.setattr(module, "CLIENT_S", 0.05)
    with Control(path, lambda _word: {"long": "x" * 4_000_000}):
        client = connect(path)
        client.sendall(b"status\n")
        second = connect(path)
        second.sendall(b"status\n")
        assert second.recv(1) == b"{"
        client.close()
        second.close()


def test_another_user_gets_no_answer(control, path, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 4321)
    monkeypatch.setattr(server, "_CREDENTIALS", Stranger())
    assert rest_of(connect(path)) == b""


def test_who_is_turned_away_is_told_so(control, path, monkeypatch):
    monkeypatch.setattr(server, "is_welcome", lambda _client, _group: False)
    with pytest.raises(PermissionError, match="gives us no answer"):
        ask([path], "mute")


class Stranger:
    size = 12

    def unpack(self, _raw: bytes) -> tuple[int, int, int]:
        return (1, 1234, 1234)


def test_nobody_there(path, tmp_path):
    assert ask([path, tmp_path / "other"], "status") is None


def test_a_stop_waits_for_nobody(path):
    with Control(path, lambda _word: {}) as control:
        mute = connect(path)
        began = time.monotonic()
    with mute:
        assert time.monotonic() - began < module.CLIENT_S / 2
    assert not control._thread.is_alive()
