import json
import os
import socket
import stat
import threading
import time
from concurrent.futures import Future

import pytest

from fakes.descriptors import no_descriptors
from jarvis_ear.control import server, unix_socket
from jarvis_ear.control.client import ask
from jarvis_ear.control.server import ControlServer
from jarvis_ear.control.unix_socket import ListeningSocket

LONG = {"long": "x" * 4_000_000}


def echo(word):
    return {"received": word}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "control"


@pytest.fixture
def control(tmp_path):
    with ControlServer(tmp_path, echo) as made:
        yield made


def rest_of(client: socket.socket) -> bytes:
    return b"".join(iter(lambda: client.recv(4096), b""))


def test_a_command_is_answered(control, path):
    assert ask([path], "status") == {"received": "status"}
    assert ask([path], "mute") == {"received": "mute"}


@pytest.mark.parametrize(
    ("mode", "expected"), [(0o700, 0o600), (0o750, 0o660), (0o755, 0o600), (0o711, 0o600)]
)
def test_only_the_group_of_a_private_folder_may_use_its_sockets(tmp_path, mode, expected):
    tmp_path.chmod(mode)
    paths = [tmp_path / "control", tmp_path / "feed"]
    with ControlServer(tmp_path, echo):
        modes = [path.stat().st_mode for path in paths]
        assert [stat.S_IMODE(mode) for mode in modes] == [expected, expected]
        assert all(stat.S_ISSOCK(mode) for mode in modes)
    assert not any(path.exists() for path in paths)
    assert "control" not in [thread.name for thread in threading.enumerate()]


@pytest.fixture
def us():
    """One end of a pair of connected sockets."""
    us, them = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    with us, them:
        yield us


@pytest.mark.parametrize(("group", "may"), [(None, False), (70_000, True), (70_001, False)])
def test_other_users_need_the_trusted_group(monkeypatch, path, us, group, may):
    monkeypatch.setattr(unix_socket, "peer_credentials", lambda _client: (70_002, 70_002))
    monkeypatch.setattr(unix_socket, "_groups", lambda _client: (70_000,))
    monkeypatch.setattr(unix_socket, "_trusted_group", lambda _folder: group)
    listener = ListeningSocket(path, time.monotonic)
    assert listener.is_permitted(us) is may
    listener.close()


def test_the_kernel_reports_the_groups_of_a_peer(us):
    assert sorted(unix_socket._groups(us)) == sorted(os.getgroups())


def test_the_socket_of_a_killed_ear_is_replaced(tmp_path, path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as dead:
        dead.bind(str(path))
    with ControlServer(tmp_path, echo):
        assert ask([path], "status") == {"received": "status"}


def test_a_running_ear_keeps_its_socket(control, tmp_path, path, caplog):
    with ControlServer(tmp_path, lambda _word: {"who": "the second"}):
        assert ask([path], "status") == {"received": "status"}
    assert path.exists()
    assert "another ear answers there" in caplog.text


def test_an_ear_without_sockets_works(tmp_path, caplog):
    with ControlServer(tmp_path / "missing", echo):
        pass
    assert f"no control socket at {tmp_path / 'missing' / 'control'}" in caplog.text
    assert f"no control socket at {tmp_path / 'missing' / 'feed'}" in caplog.text


@pytest.mark.parametrize("sent", [b"x" * 100, b"\n", b"x" * 5000 + b"\n"])
def test_an_invalid_request_is_refused(control, path, connect, sent):
    try:
        answer = rest_of(connect(path, sent))
    except ConnectionResetError:
        return  # it was closed with our bytes unread
    assert json.loads(answer) == {"error": "expected one word and a line feed"}


def test_bytes_that_are_no_letters_do_no_harm(control, path, connect):
    assert "received" in json.loads(rest_of(connect(path, b"\xff\0\n")))
    assert ask([path], "status") == {"received": "status"}


def test_silent_and_disconnected_clients_delay_no_other(control, path, connect):
    for _ in range(9):
        connect(path)
        connect(path).close()
    began = time.monotonic()
    assert ask([path], "mute") == {"received": "mute"}
    assert time.monotonic() - began < server.CLIENT_S / 2


def test_a_client_waits_for_a_place_in_a_full_backlog(path, monkeypatch, connect):
    monkeypatch.setattr(unix_socket, "BACKLOG", 1)
    listener = ListeningSocket(path, time.monotonic)
    for _ in range(2):
        connect(path)
    for timeout_s in (0, 0.05):
        with pytest.raises(TimeoutError, match="does not accept connections"):
            unix_socket.connect(path, timeout_s)
    served = threading.Timer(0.1, lambda: listener.accept().close())
    served.start()
    unix_socket.connect(path, 10).close()
    served.join()
    listener.close()


@pytest.mark.parametrize("sent", [b"", b"half a w"])
def test_a_client_without_a_request_is_closed(control, path, monkeypatch, connect, sent):
    monkeypatch.setattr(server, "CLIENT_S", 0.05)
    assert rest_of(connect(path, sent)) == b""


def test_a_request_may_come_in_pieces(control, path, connect):
    client = connect(path, b"sta")
    assert ask([path], "mute") == {"received": "mute"}
    client.sendall(b"tus\n")
    assert json.loads(rest_of(client)) == {"received": "status"}


def test_an_answer_may_be_read_in_pieces(tmp_path, path, connect):
    with ControlServer(tmp_path, lambda _word: LONG):
        assert json.loads(rest_of(connect(path, b"status\n"))) == LONG


def test_the_oldest_client_of_a_user_with_too_many_is_closed(control, path, connect, wait_until):
    idle = [connect(path) for _ in range(server.MAX_CLIENTS_OF_USER)]
    wait_until(lambda: len(control._connections) == server.MAX_CLIENTS_OF_USER)
    assert ask([path], "status") == {"received": "status"}
    assert rest_of(idle[0]) == b""
    assert control.refused == 1
    for client in idle[1:]:
        client.sendall(b"mute\n")
        assert json.loads(rest_of(client)) == {"received": "mute"}


def test_of_all_users_the_one_with_most_clients_loses_one(
    control, path, monkeypatch, connect, wait_until
):
    monkeypatch.setattr(server, "MAX_CLIENTS", 4)
    users = iter([7, 8, 8, 9, 7])
    monkeypatch.setattr(server, "peer_credentials", lambda _client: (next(users), 0))
    idle = []
    for number in range(4):
        idle.append(connect(path))
        wait_until(lambda number=number: len(control._connections) == number + 1)
    last = connect(path, b"mute\n")
    assert rest_of(idle[1]) == b""
    assert json.loads(rest_of(last)) == {"received": "mute"}


def test_without_descriptors_it_waits_and_then_serves(tmp_path, path, accepts, connect, wait_until):
    with ControlServer(tmp_path, echo):
        with no_descriptors():
            waiting = connect(path)
            wait_until(lambda: accepts)
            assert not threading.Event().wait(0.6)
            assert len(accepts) < 6
        waiting.sendall(b"status\n")
        assert json.loads(rest_of(waiting)) == {"received": "status"}


def test_a_client_that_does_not_read_its_answer_is_closed(tmp_path, path, monkeypatch, connect):
    monkeypatch.setattr(server, "CLIENT_S", 0.05)
    with ControlServer(tmp_path, lambda _word: LONG):
        connect(path, b"status\n")
        assert connect(path, b"status\n").recv(1) == b"{"


def test_another_user_gets_no_answer(control, path, foreign_user, connect):
    assert rest_of(connect(path)) == b""


def test_the_client_reports_a_refusal(control, path, monkeypatch):
    monkeypatch.setattr(ListeningSocket, "is_permitted", lambda _self, _client: False)
    with pytest.raises(PermissionError, match="closed the connection without an answer"):
        ask([path], "mute")


def test_without_an_ear_there_is_no_answer(path, tmp_path):
    assert ask([path, tmp_path / "other"], "status") is None


def test_a_stop_waits_for_no_client(tmp_path, path, connect):
    with ControlServer(tmp_path, echo) as control:
        connect(path)
        began = time.monotonic()
    assert time.monotonic() - began < server.CLIENT_S / 2
    assert not control._thread.is_alive()


# Requests with a body


@pytest.fixture
def taking(tmp_path):
    """A server that notes what it takes, and the answers that it is to give."""
    taken, answers = [], []

    def take(name, body):
        taken.append((name, body))
        return answers.pop(0) if answers else {"took": len(body)}

    with ControlServer(tmp_path, echo, take=take) as made:
        yield made, taken, answers


def test_a_body_follows_its_line_in_any_pieces(taking, path, connect):
    _, taken, _ = taking
    body = os.urandom(3_000_000)
    assert ask([path], "say-sound", body) == {"took": len(body)}
    client = connect(path, b"say-text 5\nD")
    assert ask([path], "mute") == {"received": "mute"}
    client.sendall(b"in")
    client.sendall(b"er")
    assert json.loads(rest_of(client)) == {"took": 5}
    assert taken == [("say-sound", body), ("say-text", b"Diner")]


@pytest.mark.parametrize(
    "line", ["say-text", "say-text 0", "say-text 8001", "say-text x", "say-sound 8388609"]
)
def test_a_body_without_a_valid_length_is_refused(taking, path, connect, line):
    error = json.loads(rest_of(connect(path, line.encode() + b"\n")))["error"]
    assert error.startswith(f"expected {line.partition(' ')[0]} and a length of 1 to ")
    assert taking[1] == []


def test_one_body_is_received_at_a_time(taking, path, connect):
    first = connect(path, b"say-sound 4\nRI")
    assert ask([path], "mute") == {"received": "mute"}  # by now, it is being received
    assert ask([path], "say-text", b"Dinner")["status"] == 75
    first.sendall(b"FF")
    assert json.loads(rest_of(first)) == {"took": 4}
    assert ask([path], "say-text", b"Dinner") == {"took": 6}


@pytest.mark.parametrize("sent", [b"say-text 5\n", b"say-text 5\nDi"])
def test_a_client_that_does_not_send_its_body_is_closed(taking, path, monkeypatch, connect, sent):
    monkeypatch.setattr(server, "CLIENT_S", 0.05)
    monkeypatch.setattr(server, "BODY_S", 0.05)
    assert rest_of(connect(path, sent)) == b""
    connect(path, sent).close()
    assert ask([path], "say-text", b"Dinner") == {"took": 6}


def test_an_answer_may_come_later_and_delays_no_other(taking, path, connect):
    _, _, answers = taking
    work = Future()
    answers.append(work)
    client = connect(path, b"say-text 6\nDinner")
    assert ask([path], "mute") == {"received": "mute"}
    work.set_result({"said": True})
    assert json.loads(rest_of(client)) == {"said": True}


def test_nobody_waits_for_ever_for_an_answer(taking, path, monkeypatch, connect, wait_until):
    made, _, answers = taking
    monkeypatch.setattr(server, "WORK_S", 0.05)
    answers += [Future(), Future()]
    assert rest_of(connect(path, b"say-text 6\nDinner")) == b""
    monkeypatch.setattr(server, "WORK_S", 60)
    connect(path, b"say-text 6\nDinner").close()
    wait_until(lambda: not answers and not made._connections)
