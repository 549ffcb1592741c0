"""The ear as a satellite, against servers that behave as Home Assistant does, or do not."""

import asyncio
import contextlib
import json
import logging
import socket
import struct
import sys
from collections import Counter
from pathlib import Path

import pytest
from wyoming.client import AsyncTcpClient
from wyoming.event import Event
from wyoming.info import Describe, Info
from wyoming.ping import Ping
from wyoming.satellite import PauseSatellite, RunSatellite

from fakes.home_assistant import ANSWER, SOON_S, HomeAssistant, speech
from fakes.recordings import recording
from fakes.told import Told
from fakes.voice_server import free_port
from jarvis_ear.audio.wav import decode_wav
from jarvis_ear.backend import BackendClient, CapturedAudio, clock
from jarvis_ear.config import BackendOptions, WyomingOptions
from jarvis_ear.delivery.events import (
    Announced,
    Answered,
    Cause,
    LinkDown,
    LinkUp,
    ReplyAudio,
    Sent,
    Transcribed,
    Verdict,
)
from jarvis_ear.delivery.timeouts import Timing
from jarvis_ear.errors import ConnectFailed
from jarvis_ear.link import supervisor, wyoming
from jarvis_ear.link.wyoming import SatelliteSocket
from jarvis_ear.wires.wyoming import MAX_HEADER_BYTES, encode

PCM = recording("what-time-is-it").tobytes()
EXAMPLE = Path(__file__).parents[2] / "examples" / "home_assistant.py"
HASTY = Timing(ping_s=0.1, dead_s=0.5)


@pytest.fixture(autouse=True)
def soon(monkeypatch):
    """A link that was lost is replaced without the delay that spares a network."""
    monkeypatch.setattr(supervisor, "delay_s", lambda *_: 0.01)


class Satellite:
    """An ear's end of the wire, in its own thread, while the test is the server."""

    def __init__(self, timing=None, **options):
        self.port = free_port()
        self.told = Told()
        options = WyomingOptions(uri=f"tcp://127.0.0.1:{self.port}", **options)
        backend = BackendOptions(
            protocol="wyoming", agent_id="kitchen", wyoming=options, connect_s=0.5
        )
        self.client = BackendClient(backend, on_event=self.told, timing=timing)

    async def wait(self, kind, number=1):
        return await asyncio.to_thread(self.told.wait, kind, number=number)

    async def end_of(self, turn_id):
        return await asyncio.to_thread(self.told.end_of, turn_id)

    @contextlib.asynccontextmanager
    async def server(self, *arguments, **options):
        """A Home Assistant that uses this satellite."""
        async with HomeAssistant(self.port, *arguments, **options) as server:
            await server.until("ping")  # the link pings as soon as it is up
            yield server

    async def raw(self):
        """Open a connection that says nothing by itself."""
        async with asyncio.timeout(SOON_S):
            while True:
                with contextlib.suppress(OSError):
                    return await asyncio.open_connection("127.0.0.1", self.port)
                await asyncio.sleep(0.02)


def live(scene, *, timing=None, **options):
    """Run a scene, which gets a satellite."""
    satellite = Satellite(timing, **options)
    with satellite.client:
        asyncio.run(scene(satellite))


def test_a_turn_an_announcement_and_what_was_played():
    async def scene(satellite):
        async with satellite.server() as server:
            said = CapturedAudio(PCM, "t1", clock(), wake_word="hey_jarvis")
            end = await satellite.end_of(satellite.client.send_audio(said))
            assert (end.verdict, server.sound) == (Verdict.DONE, PCM)
            assert server.of("detection")[0].data["name"] == "hey_jarvis"
            names = [each.type for each in server.events if each.type not in ("ping", "pong")]
            heads = ["info", "detection", "run-pipeline", "audio-start"]
            assert [name for name in names if name != "audio-chunk"] == [*heads, "audio-stop"]
            told = satellite.told
            assert told.all(Transcribed) == [Transcribed("t1", "what time is it")]
            assert told.all(Answered) == [Answered("t1", "It is noon.")]
            assert told.all(Sent) == [Sent("t1", len(PCM), len(PCM) + 44, base64_bytes=0)]
            assert len(told.all(ReplyAudio)) == end.chunks > 1
            satellite.client.played("t1")
            await server.until("played")
            await server.send(*speech(100))
            announced = await satellite.wait(Announced)
            satellite.client.played(announced.turn_id)
            await server.until("played", 2)

    live(scene)


def test_home_assistant_is_told_what_the_ear_is_and_that_it_lives():
    async def scene(satellite):
        await satellite.raw()
        async with AsyncTcpClient("127.0.0.1", satellite.port, read_timeout=SOON_S) as visitor:
            for _ in range(2):
                await visitor.write_event(Describe().event())
                assert Info.from_event(await visitor.read_event()).satellite.name == "kitchen"
            await visitor.write_event(Ping("hi").event())
            assert (await visitor.read_event()).data == {"text": "hi"}
        assert not satellite.client.connected
        async with satellite.server() as server:
            assert Info.from_event(await server.until("info")).satellite.name == "kitchen"
            assert (await server.until("pong")).data == {"text": "first"}

    live(scene)


def test_nobody_is_there_and_the_utterance_waits_for_home_assistant():
    async def scene(satellite):
        turn_id = satellite.client.send_audio(PCM)
        down = await satellite.wait(LinkDown)
        assert down.reason == "Home Assistant has not connected"
        async with satellite.server():
            assert (await satellite.end_of(turn_id)).verdict is Verdict.DONE

    live(scene, timing=HASTY)


@pytest.mark.parametrize(
    ("answer", "verdict", "cause"),
    [
        (None, Verdict.IN_DOUBT, Cause.LINK_LOST),
        (ANSWER[:3], Verdict.REPLY_LOST, Cause.LINK_LOST),
        (ANSWER[:6], Verdict.REPLY_LOST, Cause.LINK_LOST),
    ],
)
def test_a_server_that_goes_in_the_middle_gets_nothing_again(answer, verdict, cause):
    async def scene(satellite):
        async with satellite.server(answer) as server:
            turn_id = satellite.client.send_audio(PCM)
            await server.until("audio-stop")
            await server.send(Event("voice-stopped"))
        end = await satellite.end_of(turn_id)
        assert end.code == cause
        async with satellite.server() as server:
            await server.until("ping")
            assert server.of("run-pipeline") == []
        return end

    ends = []
    live(lambda satellite: _keep(scene(satellite), ends))
    assert ends[0].verdict in (verdict, Verdict.REPLY_LOST)


async def _keep(work, results):
    results.append(await work)


@pytest.mark.parametrize(
    ("code", "cause"),
    [
        ("stt-no-text-recognized", Cause.NOT_UNDERSTOOD),
        ("duplicate_wake_up_detected", Cause.ANSWERED_ELSEWHERE),
    ],
)
def test_a_refusal_for_good_keeps_the_connection(code, cause):
    async def scene(satellite):
        error = Event("error", {"text": "no", "code": code})
        async with satellite.server([error]) as server:
            end = await satellite.end_of(satellite.client.send_audio(PCM))
            assert (end.verdict, end.code) == (Verdict.FAILED, cause)
            await server.send(Ping("still here").event())
            await server.until("pong", 2)
            assert len(server.of("run-pipeline")) == 1

    live(scene)


def test_a_second_server_is_refused_while_the_first_is_alive(caplog):
    async def scene(satellite):
        async with satellite.server() as first, HomeAssistant(satellite.port) as second:
            assert (await second.until("error")).data["text"].startswith("another server")
            await second.until_closed()
            end = await satellite.end_of(satellite.client.send_audio(PCM))
            assert (end.verdict, first.is_closed) == (Verdict.DONE, False)

    live(scene)
    warned = [each.message for each in caplog.records if each.levelno == logging.WARNING]
    assert len([message for message in warned if "is refused" in message]) == 1


def test_a_newer_server_replaces_a_dead_one(monkeypatch):
    monkeypatch.setattr(wyoming, "ALIVE_S", 0.0)

    async def scene(satellite):
        async with satellite.server() as first, HomeAssistant(satellite.port):
            await first.until_closed()
            await satellite.wait(LinkUp, 2)
            end = await satellite.end_of(satellite.client.send_audio(PCM))
            assert end.verdict is Verdict.DONE

    live(scene)


def test_a_server_that_is_silent_or_pauses_the_satellite_is_away():
    async def scene(satellite):
        async with satellite.server(pongs=1) as server:
            await server.until_closed()
        assert (await satellite.wait(LinkDown, 2)).reason.startswith("nothing received")
        async with satellite.server() as server:
            await server.send(PauseSatellite().event())
            assert "paused" in (await satellite.wait(LinkDown, 3)).reason
            await server.send(RunSatellite().event())
            await satellite.wait(LinkUp, 3)
            end = await satellite.end_of(satellite.client.send_audio(PCM))
            assert (end.verdict, server.is_closed) == (Verdict.DONE, False)

    async def first_nobody(satellite):
        await satellite.wait(LinkDown)
        await scene(satellite)

    live(first_nobody, timing=HASTY)


def test_a_server_that_knows_no_pings_gets_the_utterance(monkeypatch):
    monkeypatch.setattr(wyoming, "ASSUMED_S", 0.05)

    async def scene(satellite):
        async with satellite.server(pongs=0) as server:
            await server.until("ping", 8)  # longer than a silent server may be, if it knows them
            end = await satellite.end_of(satellite.client.send_audio(PCM))
            assert (end.verdict, server.is_closed) == (Verdict.DONE, False)

    live(scene, timing=HASTY)


def test_one_paused_connection_waits_and_a_newer_one_takes_its_place():
    async def scene(satellite):
        async with satellite.server() as first:
            await first.send(PauseSatellite().event())
            await satellite.wait(LinkDown)
            async with satellite.server() as second:
                await second.send(PauseSatellite().event())
                await first.until_closed()
                await second.send(RunSatellite().event(), Ping("again").event())
                await satellite.wait(LinkUp, 3)
                assert not second.is_closed

    live(scene)


RUN = b'{"type": "run-satellite"}\n'
HUGE = json.dumps({"type": "audio-chunk", "payload_length": 2**40}).encode() + b"\n"


@pytest.mark.parametrize("first", [b"", RUN], ids=["before", "after"])
@pytest.mark.parametrize(
    "garbage",
    [b"GET / HTTP/1.1\r\n\r\n", b"x" * (3 * MAX_HEADER_BYTES), HUGE, b"\n", b"\xff\xfe\n"],
    ids=["http", "endless line", "huge", "empty", "binary"],
)
def test_garbage_costs_its_connection_and_one_warning(caplog, garbage, first):
    async def scene(satellite):
        await satellite.raw()
        for _ in range(3):
            reader, writer = await satellite.raw()
            writer.write(first + garbage)
            with contextlib.suppress(OSError):
                async with asyncio.timeout(SOON_S):
                    while await reader.read(1000):
                        pass
            writer.close()
        warned = [each for each in caplog.records if each.levelno >= logging.WARNING]
        assert len(warned) == 1
        async with satellite.server():
            end = await satellite.end_of(satellite.client.send_audio(PCM))
            assert end.verdict is Verdict.DONE

    live(scene)
    assert "Traceback" not in caplog.text


def test_a_server_that_reads_nothing_is_dropped(caplog):
    async def scene(satellite):
        await satellite.raw()
        with socket.create_connection(("127.0.0.1", satellite.port)) as server:
            await asyncio.to_thread(server.sendall, RUN)
            await satellite.wait(LinkUp)
            with contextlib.suppress(ConnectionError):
                await asyncio.to_thread(server.sendall, b'{"type": "ping"}\n' * 120_000)
            assert "no longer reads" in (await satellite.wait(LinkDown)).reason

    live(scene)
    assert "Traceback" not in caplog.text


def test_a_machine_that_is_not_allowed_gets_nothing(caplog):
    async def scene(satellite):
        reader, writer = await satellite.raw()
        writer.write(RUN)
        with contextlib.suppress(ConnectionError):
            assert await reader.read(1) == b""
        assert not satellite.client.connected
        assert satellite.client.counters()["connections_refused"] == 1

    live(scene, allow=("192.0.2.0/24",))
    assert "127.0.0.1 to the satellite is refused: its address" in caplog.text


def test_visitors_are_few_and_must_ask_something(caplog, monkeypatch):
    monkeypatch.setattr(wyoming, "VISIT_S", 0.3)

    async def scene(satellite):
        opened = [await satellite.raw() for _ in range(wyoming.MAX_VISITORS + 1)]
        for reader, _ in opened:
            with contextlib.suppress(ConnectionError):
                assert await reader.read(1) == b""
        async with satellite.server():
            pass

    caplog.set_level(logging.DEBUG)
    live(scene)
    assert "8 others are connected" in caplog.text
    assert "it asked nothing for 0.3 s" in caplog.text


def test_a_port_that_is_taken_is_said():
    satellite = Satellite(HASTY)
    with socket.create_server(("127.0.0.1", satellite.port)), satellite.client:
        down = satellite.told.wait(LinkDown)
    assert "ddress already in use" in down.reason


def test_a_text_cannot_be_spoken_by_home_assistant():
    with pytest.raises(ConnectFailed, match="announce"):
        Satellite().client.speak("hello")


def test_a_server_that_runs_before_the_link_is_ready_waits_unless_a_newer_one_comes():
    async def scene():
        port = free_port()
        satellite = SatelliteSocket(
            WyomingOptions(uri=f"tcp://127.0.0.1:{port}"), "kitchen", Counter(), tuple
        )
        link = satellite.make_link(HASTY, lambda: None)
        with pytest.raises(ConnectFailed):
            await satellite.take(link, 0.01)
        async with HomeAssistant(port) as gone:
            pass
        async with HomeAssistant(port) as first, HomeAssistant(port) as second:
            await first.until_closed()
            assert first.of("error")[0].data["text"].startswith("a newer connection")
            visitor = await satellite.take(link, SOON_S)
            assert (gone.events, second.is_closed) == ([], False)
            visitor.drop()
            await second.until_closed()
        async with HomeAssistant(port) as last:
            await satellite.close()
            await last.until_closed()

    asyncio.run(scene())


def test_a_connection_that_was_reset_before_the_link_took_it_is_passed_over():
    async def scene():
        port = free_port()
        options = WyomingOptions(uri=f"tcp://127.0.0.1:{port}")
        satellite = SatelliteSocket(options, "kitchen", Counter(), tuple)
        link = satellite.make_link(HASTY, lambda: None)
        with pytest.raises(ConnectFailed):
            await satellite.take(link, 0.01)
        ends = [await asyncio.open_connection("127.0.0.1", port) for _ in range(2)]
        for (reader, writer), asked in zip(ends, (RunSatellite(), Ping("again")), strict=True):
            writer.write(encode(Ping("first").event()) + encode(asked.event()))
            await reader.readline()  # the answer: both were read
            lingers = struct.pack("ii", 1, 0)
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, lingers)
            writer.transport.abort()  # the answer to the second one shows that this was noticed
        with pytest.raises(ConnectFailed, match="has not connected"):
            await satellite.take(link, 0.2)
        await satellite.close()

    asyncio.run(scene())


def test_the_example_stands_in_for_home_assistant():
    async def scene(satellite):
        example = await asyncio.create_subprocess_exec(
            *(sys.executable, EXAMPLE, "--turns", "1"),
            *("--uri", f"tcp://127.0.0.1:{satellite.port}"),
            stdout=asyncio.subprocess.PIPE,
        )
        await satellite.wait(LinkUp)
        end = await satellite.end_of(satellite.client.send_audio(PCM, turn_id="t1"))
        satellite.client.played("t1")
        printed, _ = await example.communicate()
        assert (end.verdict, example.returncode) == (Verdict.DONE, 0)
        assert b"'name': 'kitchen'" in printed
        replied = [decode_wav(each.audio, max_seconds=9) for each in satellite.told.all(ReplyAudio)]
        assert b"".join(each.mono().tobytes() for each in replied) == PCM

    satellite = Satellite()
    with satellite.client:
        satellite.told.wait(LinkDown)  # it listens now
        asyncio.run(scene(satellite))
