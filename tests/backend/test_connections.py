"""Which connections are accepted, and which make room."""

import logging
import resource

import pytest

from jarvis_backend import connections as module
from jarvis_backend.config import Limits
from jarvis_backend.connections import (
    Connections,
    connections_for,
    files_needed,
    max_connections,
    raise_file_limit,
)
from jarvis_backend.host_check import origin_of

UNLIMITED = resource.RLIM_INFINITY
MANY = Limits(connections=1000)


class Line:
    """A transport that can be aborted."""

    def __init__(self):
        self.aborted = False

    def abort(self):
        self.aborted = True


def entered(connections, peer, count=1, *, awaited=True):
    lines = [Line() for _ in range(count)]
    for line in lines:
        assert connections.add(line, peer)
        if awaited:
            connections.mark_waiting(line)
    return lines


def aborted(lines):
    return [line.aborted for line in lines]


def test_the_connection_of_an_address_that_has_waited_longest_makes_room():
    connections = Connections(10, 2)
    lines = entered(connections, "a", 2) + entered(connections, "b")
    entered(connections, "a")
    assert aborted(lines) == [True, False, False]
    assert (len(connections), connections.refused) == (3, 1)


def test_a_busy_connection_stays_and_the_newest_is_refused():
    connections = Connections(10, 2)
    lines = entered(connections, "a", 2, awaited=False)
    assert not connections.add(Line(), "a")
    assert not any(aborted(lines))
    connections.mark_waiting(lines[1])
    assert connections.add(Line(), "a")
    assert aborted(lines) == [False, True]


def test_a_connection_that_was_busy_waits_anew():
    connections = Connections(10, 2)
    lines = entered(connections, "a", 2)
    connections.mark_busy(lines[0])
    connections.mark_waiting(lines[0])
    entered(connections, "a")
    assert aborted(lines) == [False, True]


def test_when_all_are_too_many_the_address_with_most_makes_room():
    connections = Connections(4, 3)
    lines = entered(connections, "lonely") + entered(connections, "crowd", 3)
    entered(connections, "new")
    assert aborted(lines) == [False, True, False, False]


def test_when_all_are_busy_a_new_one_is_refused(caplog):
    connections = Connections(2, 2)
    entered(connections, "a", 1, awaited=False)
    entered(connections, "b", 1, awaited=False)
    with caplog.at_level(logging.WARNING):
        assert not connections.add(Line(), "c")
    assert caplog.messages == [
        "2 connections are open in all, and no more are allowed: a new one is closed"
    ]


def test_a_closed_connection_takes_no_place():
    connections = Connections(2, 1)
    (line,) = entered(connections, "a")
    connections.remove(line)
    connections.remove(line)
    connections.mark_waiting(line)
    connections.mark_busy(line)
    assert len(connections) == 0
    entered(connections, "a")
    assert connections.refused == 0


@pytest.mark.parametrize(
    ("peer", "origin"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8::1:2:3:4", "2001:db8::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("testclient", "testclient"),
        ("", ""),
    ],
)
def test_all_addresses_of_a_household_are_one(peer, origin):
    assert origin_of(peer) == origin


@pytest.fixture
def files(monkeypatch):
    """Pretend that a process has such limits on its open files, and look at what it sets."""
    limit = [0, 0]

    def allow(soft, hard):
        limit[:] = soft, hard
        return limit

    monkeypatch.setattr(module.resource, "getrlimit", lambda _: tuple(limit))
    monkeypatch.setattr(
        module.resource, "setrlimit", lambda _, wanted: limit.__setitem__(slice(2), wanted)
    )
    return allow


NEEDED = (
    "limits.connections: 1000 need 8320 open files, but {} are allowed; "
    "expected LimitNOFILE=8320 (ulimit -n), or fewer connections"
)


@pytest.mark.parametrize(
    ("connections", "before", "after", "complaint"),
    [
        (1000, [1024, 100_000], [8320, 100_000], ""),
        (1000, [1024, UNLIMITED], [8320, UNLIMITED], ""),
        (1000, [1024, 4096], [4096, 4096], NEEDED.format(4096)),
        (64, [832, 0], [832, 0], ""),
        (64, [UNLIMITED, 0], [UNLIMITED, 0], ""),
    ],
)
def test_the_limit_of_open_files_is_raised_to_what_the_connections_need(
    files, connections, before, after, complaint
):
    limits = Limits(connections=connections)
    limit = files(*before)
    assert raise_file_limit(limits) == complaint
    assert limit == after
    bound = 4096 - 256 if complaint else max_connections(limits)
    assert connections_for(limits)._max_total == bound


def test_the_default_needs_832_open_files_and_a_thousand_need_8320():
    assert files_needed(Limits()) == 832
    assert (files_needed(MANY), max_connections(MANY)) == (8320, 8064)


def test_a_limit_that_may_not_be_raised_is_reported(files, monkeypatch):
    def refuse(*_):
        raise PermissionError

    files(1024, 100_000)
    monkeypatch.setattr(module.resource, "setrlimit", refuse)
    assert raise_file_limit(MANY) == NEEDED.format(1024)
