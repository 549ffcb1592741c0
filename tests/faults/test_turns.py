"""Rows 5, 8, 12 to 14, 21 and 22 of the fault matrix: what becomes of an utterance."""

import time

import pytest

from fakes.ear import EarProcess, ear, timing
from fakes.numbered import numbered
from fakes.proxy import Proxy
from fakes.voice_server import Switches, VoiceServer, wait_until
from jarvis_ear.backend import clock
from jarvis_ear.delivery.events import Finished, LinkDown, LinkUp, ReplyAudio, Verdict

LONGEST = 28 * 16_000
"""Samples of the longest utterance."""

START_ANSWERED = b'voice:listening",{"agentId"'

KIB_OF_A_STALL = 8 * 1024


MANY_TIMES = pytest.mark.parametrize("times", [3, pytest.param(50, marks=pytest.mark.slow)])


def ends_as(told, turn_id, verdict, code):
    end = told.end_of(turn_id)
    return (end.verdict, end.code) == (verdict, code)


@pytest.mark.parametrize("samples", [32_000, LONGEST])
def test_row_05_backend_stopped_during_an_upload(samples, faster, tmp_path):
    """It stopped between the start and the sound. Small sounds fit into the kernel's buffers."""
    server = VoiceServer(tmp_path, Switches(reply="stops"))
    with server, EarProcess(server.url, times_faster=faster, connect_s=5.0 / faster) as daemon:
        daemon.wait("LinkUp")
        had_kib = daemon.resident_kib()
        began = time.monotonic()
        daemon.tell(do="say", turn="one", number=1, samples=samples)
        first = daemon.wait("Finished", "LinkDown", within_s=20.0)
        took_s = time.monotonic() - began
        assert daemon.resident_kib() - had_kib <= KIB_OF_A_STALL
        server.kill()
        server.start(reply="spoken")
        end = first if first["event"] == "Finished" else daemon.wait("Finished", within_s=20.0)
        assert end["verdict"] in {"done", "in_doubt"}
        assert server.numbers() == [1] * (end["verdict"] == "done")
    assert took_s <= 4.0 / faster + 1.0


@pytest.mark.parametrize("bytes_per_s", [8000, 1])
def test_row_08_slow_link(bytes_per_s, tmp_path):
    with VoiceServer(tmp_path) as server, Proxy(server.port) as proxy:
        with ear(proxy.url, timing(4), fresh_s=3, connect_s=1.0) as (client, told):
            assert client.connect()
            proxy.trickle(bytes_per_s)
            end = told.end_of(client.send_audio(numbered(1, 10 * 16_000)), within_s=6.0)
            assert end.verdict in {Verdict.EXPIRED, Verdict.IN_DOUBT}
            proxy.trickle(None)
            assert told.end_of(client.send_audio(numbered(2)), within_s=8.0).verdict is Verdict.DONE
        assert server.numbers() == [2]


@pytest.fixture
def cut(tmp_path):
    """A server, the proxy before it, and an ear that gives up soon."""
    with (
        VoiceServer(tmp_path) as server,
        Proxy(server.port) as proxy,
        ear(proxy.url, timing(10), connect_s=0.5) as (client, told),
    ):
        client.start()
        yield server, proxy, client, told


@MANY_TIMES
def test_row_12_nothing_runs_late(times, cut):
    """The network is lost around the commit and comes back after we have given up."""
    server, proxy, client, told = cut
    for number in range(1, times + 1):
        wait_until(lambda: client.connected)
        proxy.hold_after(START_ANSWERED)
        had = proxy.accepted
        turn_id = client.send_audio(numbered(number))
        assert ends_as(told, turn_id, Verdict.IN_DOUBT, "no_processing")
        wait_until(lambda before=had: proxy.accepted > before)  # the old link is no more
        proxy.release()
    wait_until(lambda: client.connected)
    assert told.end_of(client.send_audio(numbered(99))).verdict is Verdict.DONE
    assert server.numbers() == [99]


@MANY_TIMES
def test_row_12b_uploads_never_mix(times, cut):
    """What the old link had in flight arrives while the new one uploads; the name is the same."""
    server, proxy, client, told = cut
    for number in range(1, times + 1):
        wait_until(lambda: client.connected)
        proxy.hold_after(START_ANSWERED)
        turn_id = client.send_audio(numbered(number, 4 * 16_000))
        wait_until(lambda: not client.connected)
        newer = client.send_audio(numbered(100 + number, 16_000))
        proxy.release()
        assert told.end_of(newer).verdict is Verdict.DONE
        assert told.end_of(turn_id).verdict in {Verdict.DONE, Verdict.IN_DOUBT}
    runs, numbers = server.received("run"), server.numbers()
    assert None not in numbers, "two sounds in one"
    whole = {number: 44 + 2 * 16_000 * (1 if number > 100 else 4) for number in numbers}
    assert {line["number"]: line["bytes"] for line in runs} == whole
    assert len(runs) == len(whole)


def test_row_14_processing_before_the_end(tmp_path):
    """A backend that cuts recordings by itself has begun: the sound is not sent a second time."""
    with (
        VoiceServer(tmp_path, Switches(reply="early")) as server,
        ear(server.url) as (client, told),
    ):
        assert client.connect()
        assert told.end_of(client.send_audio(numbered(1))).verdict is Verdict.DONE
        assert len(server.received("start")) == 1


def test_row_14_an_error_after_the_transcript_is_the_end(tmp_path):
    """Chunks that come after it are dropped."""
    with (
        VoiceServer(tmp_path, Switches(reply="fails_late")) as server,
        ear(server.url) as (client, told),
    ):
        assert client.connect()
        assert ends_as(told, client.send_audio(numbered(1)), Verdict.FAILED, "backend_error")
        wait_until(lambda: client.connected)
        assert ends_as(told, client.send_audio(numbered(2)), Verdict.FAILED, "backend_error")
        assert told.all(ReplyAudio) == []
        assert server.numbers() == [1, 2]


def test_row_21_the_wall_clock_jumps(tmp_path, monkeypatch):
    chance = iter(
        [year * 31_536_000 + odd for _ in range(10_000) for year in (-1, 1) for odd in (-1, 0, 1)]
    )
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + next(chance))
    with VoiceServer(tmp_path) as server, ear(server.url) as (client, told):
        assert client.connect()
        for number in range(50):
            assert told.end_of(client.send_audio(numbered(number))).verdict is Verdict.DONE
        assert server.numbers() == list(range(50))


def test_row_22_the_machine_slept_for_ten_minutes(tmp_path, monkeypatch):
    slept_s = [0.0]
    monkeypatch.setattr("jarvis_ear.backend.clock", lambda: clock() + slept_s[0])
    server = VoiceServer(tmp_path)
    with ear(server.url) as (client, told):
        client.start()
        told.wait(LinkDown)
        turn_ids = [client.send_audio(numbered(number)) for number in range(5)]
        slept_s[0] = 600.0
        with server:
            told.wait(LinkUp, within_s=8.0)
            assert all(ends_as(told, each, Verdict.EXPIRED, "too_old") for each in turn_ids)
            assert told.end_of(client.send_audio(numbered(9))).verdict is Verdict.DONE
            assert server.numbers() == [9]
    assert len(told.all(Finished)) == 6
