"""The ear's half of the suite: every wire, over real sockets, against the reference backend."""

import contextlib
import logging
from dataclasses import replace
from urllib.parse import urlsplit

import numpy as np
import pytest

from fakes.ear import PASSWORD, timing
from fakes.ear import ear as ear_at
from fakes.engines import ScriptedBrain, ScriptedEar, ScriptedVoice, scripted
from fakes.proxy import Proxy
from fakes.recordings import recording
from fakes.voice_server import free_port, wait_until
from fakes.wire_cases import on
from jarvis_backend.config import BackendConfig, Limits
from jarvis_backend.server import Server
from jarvis_ear.audio.wav import decode_wav
from jarvis_ear.backend import BackendClient
from jarvis_ear.config import BackendOptions
from jarvis_ear.delivery.events import (
    Answered,
    LinkDown,
    LinkUp,
    ProcessingStarted,
    ReplyAudio,
    Transcribed,
    Verdict,
)
from jarvis_ear.delivery.transitions import UploadMode
from jarvis_ear.link.registry import WIRES

pytestmark = pytest.mark.usefixtures("shortest_waits")

STREAMING = [name for name, wire in WIRES.items() if wire.upload_mode is UploadMode.STREAMED]


@pytest.fixture
def stt():
    return ScriptedEar()


@pytest.fixture
def serve(stt):
    with contextlib.ExitStack() as running:

        def start(tts=None, port=0, **options):
            engines = scripted(stt, ScriptedBrain("One. Two."), tts)
            config = BackendConfig(port=port, password=PASSWORD, **options)
            return running.enter_context(Server(config, engines))

        yield start


@pytest.fixture
def make(wire):
    """Make an ear on the wire under test, which tries again at once; it is stopped at the end."""
    with contextlib.ExitStack() as running:

        def make(url, times_faster=1.0, **changes):
            real = timing(times_faster)
            hasty = replace(real, turn=replace(real.turn, retry_least_s=0.02, retry_most_s=0.05))
            return running.enter_context(ear_at(url, hasty, protocol=wire, **changes))

        yield make


@pytest.fixture
def ear(make):
    def connect(*where, **changes):
        client, told = make(*where, **changes)
        assert client.connect()
        return client, told

    return connect


@pytest.fixture
def proxied(serve, ear):
    """Make an ear that has reached the backend through a proxy."""
    with contextlib.ExitStack() as running:

        def connect(tts=None, **changes):
            proxy = running.enter_context(Proxy(urlsplit(serve(tts).url).port))
            return (proxy, *ear(proxy.url, **changes))

        yield connect


def voice(ms, seed=1):
    """Something that every server takes for speech, and that differs from any other."""
    pcm = np.random.default_rng(seed).normal(0, 6000, ms * 16).clip(-32768, 32767).astype("<i2")
    return pcm.tobytes()


def are(heard, *said):
    """Whether each that was heard is what was said, and silence around it."""
    sounds = [np.asarray(each, "<i2").tobytes() for each in heard]
    return len(sounds) == len(said) and all(
        pcm in sound and len(sound) <= len(pcm) + 64_000
        for sound, pcm in zip(sounds, said, strict=True)
    )


def says(client, turn_id, pcm, step=3200, upto=None):
    """Hand over what is said so far, a tenth of a second at a time."""
    for at in range(0, len(pcm) if upto is None else upto, step):
        client.extend(turn_id, at, pcm[at : at + step])


@on(*WIRES)
def test_connect(wire, serve, ear):
    client, told = ear(serve().url)
    assert client.state == "connected"
    assert len(told.all(LinkUp)) == 1


@on(*WIRES)
def test_round_trip(wire, serve, ear, stt):
    client, told = ear(serve().url)
    for seed in (1, 2):
        turn_id = client.send_audio(voice(600, seed))
        assert told.end_of(turn_id).verdict is Verdict.DONE
        assert told.wait(Transcribed, number=seed).text == "what time is it"
    assert are(stt.heard, voice(600, 1), voice(600, 2))
    assert told.all(ReplyAudio)
    for reply in told.all(ReplyAudio):
        assert reply.content_type == "audio/wav"
        assert len(decode_wav(reply.audio, max_seconds=1).mono()) > 0
    assert client.counters()["messages_refused"] == 0
    assert len(told.all(LinkUp)) == 1
    assert told.all(LinkDown) == []


@on(*STREAMING)
def test_round_trip_begins_while_it_is_said(wire, proxied, stt):
    proxy, client, told = proxied()
    pcm, before = voice(1000), proxy.forwarded
    says(client, "t1", pcm, upto=28_800)
    wait_until(lambda: proxy.forwarded - before >= 28_800)
    assert stt.heard == []
    client.send_audio(pcm, turn_id="t1")
    assert told.end_of("t1").verdict is Verdict.DONE
    assert proxy.accepted == 1 + (wire == "realtime")  # its login
    assert are(stt.heard, pcm)


@on(*STREAMING)
def test_half_utterance(wire, proxied, stt):
    proxy, client, told = proxied()
    pcm, before = voice(1000), proxy.forwarded
    says(client, "t1", pcm, upto=16_000)
    wait_until(lambda: proxy.forwarded - before >= 16_000)
    proxy.reset()
    told.wait(LinkDown)
    client.extend("t1", 16_000, pcm[16_000:24_000])
    client.send_audio(pcm, turn_id="t1")
    assert told.end_of("t1").verdict is Verdict.DONE
    assert are(stt.heard, pcm)


@on(*(name for name in WIRES if name not in STREAMING))
def test_half_utterance_of_a_sentence_that_goes_up_whole(wire, proxied, stt):
    proxy, client, told = proxied()
    before = proxy.forwarded
    proxy.trickle(40_000)
    turn_id = client.send_audio(voice(1000))
    wait_until(lambda: proxy.forwarded - before >= 8000)
    proxy.reset()
    told.wait(LinkDown)
    proxy.trickle(None)
    # The kernel had taken it all, the commit too: the ear cannot know that half of it arrived.
    assert told.end_of(turn_id).verdict is Verdict.IN_DOUBT
    assert stt.heard == []
    assert told.end_of(client.send_audio(voice(600, 2))).verdict is Verdict.DONE
    assert are(stt.heard, voice(600, 2))


@on(*STREAMING)
def test_half_utterance_that_is_no_sentence_is_withdrawn(wire, proxied, stt):
    proxy, client, told = proxied()
    before = proxy.forwarded
    says(client, "t1", voice(500, 7))
    wait_until(lambda: proxy.forwarded - before >= 16_000)
    client.discard("t1")
    assert told.end_of(client.send_audio(voice(600), turn_id="t2")).verdict is Verdict.DONE
    assert are(stt.heard, voice(600))


@on(*WIRES)
def test_refuse(wire, serve):
    url = serve(require_token=True).url
    for password, state in (("wrong", "auth_failed"), (PASSWORD, "connected")):
        with BackendClient(BackendOptions(url=url, password=password, protocol=wire)) as client:
            assert client.connect() == (password == PASSWORD)
            assert client.state == state


@on(*WIRES)
def test_interruption(wire, serve, ear, stt):
    tts = ScriptedVoice(hangs=True)
    client, told = ear(serve(tts).url)
    first = client.send_audio(voice(600, 1))
    told.wait(Transcribed)
    wait_until(lambda: len(tts.asked) == 2)
    client.abandon(first)
    assert told.end_of(first).verdict is Verdict.ABANDONED
    wait_until(lambda: sorted(tts.cancelled) == ["One.", "Two."])
    tts.hangs = False
    assert told.end_of(client.send_audio(voice(600, 2))).verdict is Verdict.DONE
    assert len(stt.heard) == 2
    assert told.all(LinkDown) == []


@on(*WIRES)
def test_abrupt_close(wire, proxied, stt):
    tts = ScriptedVoice(hangs=True)
    proxy, client, told = proxied(tts)
    first = client.send_audio(voice(600, 1))
    told.wait(Transcribed)
    wait_until(lambda: len(tts.asked) == 2)
    proxy.reset()
    end = told.end_of(first)
    assert (end.verdict, end.code) == (Verdict.REPLY_LOST, "link_lost")
    tts.hangs = False
    assert told.end_of(client.send_audio(voice(600, 2))).verdict is Verdict.DONE
    assert len(stt.heard) == 2


@on(*WIRES)
@pytest.mark.long
def test_abrupt_close_that_nobody_tells_is_found_out_in_time(wire, proxied, stt):
    proxy, client, told = proxied(times_faster=4.0, connect_s=1.0)
    proxy.hold()
    turn_id = client.send_audio(voice(600))
    told.wait(LinkDown, within_s=5.0)
    proxy.release()
    assert told.end_of(turn_id).verdict is Verdict.DONE
    assert len(stt.heard) == 1


@on(*WIRES)
@pytest.mark.long
def test_slow_reader(wire, proxied, stt):
    proxy, client, told = proxied(times_faster=4.0, fresh_s=2, connect_s=1.0)
    proxy.trickle(4000)
    end = told.end_of(client.send_audio(voice(10_000)), within_s=8.0)
    assert end.verdict in {Verdict.EXPIRED, Verdict.IN_DOUBT}
    proxy.trickle(None)
    assert told.end_of(client.send_audio(voice(600))).verdict is Verdict.DONE
    assert are(stt.heard, voice(600))


@on(*(name for name in WIRES if name != "session"))
def test_oversize_sentence_fails_and_the_next_does_not(wire, serve, ear, stt):
    limits = Limits(recording_s=1, utterance_s=2)
    client, told = ear(serve(limits=limits).url)
    end = told.end_of(client.send_audio(voice(4000)))
    assert end.verdict is Verdict.FAILED
    assert told.end_of(client.send_audio(voice(600))).verdict is Verdict.DONE
    assert len(stt.heard) == 1


@on("session")
def test_oversize_sentence_is_cut_short_and_its_rest_not_added_to_the_next(wire, serve, ear, stt):
    client, told = ear(serve(limits=Limits(recording_s=1)).url)
    assert told.end_of(client.send_audio(voice(1400))).verdict is Verdict.DONE
    assert told.end_of(client.send_audio(voice(600, 2))).verdict is Verdict.DONE
    assert are(stt.heard[-1:], voice(600, 2))


@on(*WIRES)
def test_a_server_that_fails_says_so_and_nothing_is_repeated(wire, serve, ear, stt):
    stt.text = ""
    client, told = ear(serve().url)
    end = told.end_of(client.send_audio(voice(600)))
    assert (end.verdict, end.code) == (Verdict.FAILED, "not_understood")
    assert len(stt.heard) == 1


@on(*WIRES)
@pytest.mark.long
def test_reconnect(wire, stt, make):
    port = free_port()
    client, told = make(f"http://127.0.0.1:{port}")
    assert not client.connect()
    turn_id = client.send_audio(voice(600))
    for _ in range(2):
        with Server(BackendConfig(port=port, password=PASSWORD), scripted(stt)):
            assert told.end_of(turn_id).verdict is Verdict.DONE
        turn_id = client.send_audio(voice(600))
    client.disconnect()
    assert told.end_of(turn_id).verdict is Verdict.FAILED
    assert len(stt.heard) == 2


@on(*WIRES)
def test_secrets_and_voices_stay_out_of_the_log(wire, serve, ear, caplog):
    caplog.set_level(logging.DEBUG)
    client, told = ear(serve(require_token=True).url)
    told.end_of(client.send_audio(voice(600)))
    ours = [each for each in caplog.records if not each.name.startswith(("uvicorn", "jarvis_back"))]
    said = "\n".join(f"{each.getMessage()} {each.args}" for each in ours)
    for secret in (PASSWORD, "what time is it", "eyJ"):
        assert secret not in said


@on(*WIRES)
@pytest.mark.long
def test_round_trip_of_real_speech(wire, ear):
    spoken = np.concatenate([recording("hey-jarvis-what-time-is-it"), np.zeros(4800, "<i2")])
    with Server(BackendConfig(port=0, password=PASSWORD)) as server:
        client, told = ear(server.url)
        pcm = spoken.astype("<i2").tobytes()
        says(client, "t1", pcm, upto=len(pcm) // 3200 * 3200)
        client.send_audio(pcm, turn_id="t1")
        assert told.end_of("t1", within_s=30.0).verdict is Verdict.DONE
    assert told.wait(Transcribed).text == "what time is it"
    sound = b"".join(
        decode_wav(each.audio, max_seconds=30).mono().tobytes() for each in told.all(ReplyAudio)
    )
    assert np.abs(np.frombuffer(sound, "<i2")).max() > 3000
    assert told.all(ProcessingStarted)
    assert wire == "socketio" or told.all(Answered)
