"""Every utterance ends in exactly one verdict, and runs at most once."""

import base64
import contextlib
import hashlib
import logging
import time

import pytest

from fakes.ear import PASSWORD, ear
from fakes.told import Told
from fakes.voice_server import Switches, VoiceServer, wait_until
from jarvis_ear.backend import BackendClient, CapturedAudio, clock, pcm_to_wav
from jarvis_ear.config import BackendOptions
from jarvis_ear.delivery.events import (
    Announced,
    ChunksMissing,
    Finished,
    LinkDown,
    LinkUp,
    ProcessingStarted,
    Refused,
    ReplyAudio,
    Sent,
    StillWaiting,
    ThinkingStarted,
    Transcribed,
    Verdict,
)
from jarvis_ear.delivery.timeouts import Timeouts, Timing
from jarvis_ear.link import sender
from jarvis_ear.wires.messages import BackendError

pytestmark = pytest.mark.usefixtures("shortest_waits")

SPEECH = bytes(range(256)) * 250
"""Two seconds."""

NO_REPLY = (Verdict.REPLY_LOST, "no_reply")
IMPATIENT = Timing(turn=Timeouts(start_ack_s=0.3, processing_s=0.3))


@pytest.fixture
def meet(tmp_path):
    """Make a backend and an ear that has reached it; what it tells is the third."""
    with contextlib.ExitStack() as running:

        def make(timing=None, /, **changes):
            behaviour = {
                name: changes.pop(name) for name in ("reply", "listening") & changes.keys()
            }
            server = running.enter_context(VoiceServer(tmp_path, Switches(**behaviour)))
            client, told = running.enter_context(ear(server.url, timing, **changes))
            assert client.connect()
            return server, client, told

        yield make


def digest(pcm):
    return hashlib.sha256(pcm_to_wav(pcm)).hexdigest()


def test_what_was_heard_arrives_and_the_reply_comes_back_in_order(meet):
    server, client, told = meet(agent_id="den")
    turn_id = client.send_audio(SPEECH)
    end = told.end_of(turn_id)
    [chunk], [start], [stop] = (server.received(name) for name in ("chunk", "start", "end"))
    assert (chunk["keys"], chunk["seq"]) == (["agentId", "audio", "seq"], 0)
    assert (chunk["bytes"], chunk["sha256"]) == (44 + len(SPEECH), digest(SPEECH))
    assert start["payload"] == stop["payload"] == {"agentId": "den"}
    assert told.events[1:] == [
        Sent(turn_id, len(SPEECH), len(SPEECH) + 44, 85_392),
        ProcessingStarted(turn_id),
        Transcribed(turn_id, "what time is it"),
        ThinkingStarted(turn_id, "none"),
        *(ReplyAudio(turn_id, each, "audio/wav", b"RIFF" + bytes(60)) for each in range(3)),
        end,
    ]
    assert end == Finished(turn_id, Verdict.DONE, "", 3)
    assert told.threads == {"jarvis-ear-network"}


def test_the_longest_utterance_goes_up(meet):
    server, client, told = meet()
    longest = bytes(28 * 32_000)
    assert told.end_of(client.send_audio(longest)).verdict is Verdict.DONE
    assert server.received("end")[0]["sha256"] == digest(longest)


def test_what_is_said_during_an_outage_waits_and_runs_once(tmp_path):
    server = VoiceServer(tmp_path)
    with ear(server.url) as (client, told):
        turn_ids = [client.send_audio(SPEECH[: 2 * length]) for length in (100, 200, 300)]
        client.start()
        told.wait(LinkDown)
        with server:
            for turn_id in turn_ids:
                assert told.end_of(turn_id).verdict is Verdict.DONE
            assert [each["bytes"] for each in server.received("end")] == [244, 444, 644]
    assert [end.turn_id for end in told.all(Finished)] == turn_ids


def test_a_link_that_dies_after_the_commit_leaves_doubt_and_no_second_run(meet):
    server, client, told = meet(reply="dies")
    end = told.end_of(client.send_audio(SPEECH))
    assert (end.verdict, end.code) == (Verdict.IN_DOUBT, "link_lost")
    server.wait_dead()
    server.start(reply="spoken")
    told.wait(LinkUp, number=2)
    assert told.end_of(client.send_audio(SPEECH[:200])).verdict is Verdict.DONE
    assert [each["bytes"] for each in server.received("end")] == [44 + len(SPEECH), 244]


def test_a_link_that_dies_after_processing_loses_the_reply_only(meet):
    server, client, told = meet(reply="silent")
    turn_id = client.send_audio(SPEECH)
    told.wait(ProcessingStarted)
    server.kill()
    end = told.end_of(turn_id)
    assert (end.verdict, end.code) == (Verdict.REPLY_LOST, "link_lost")
    server.start(reply="spoken")
    told.wait(LinkUp, number=2)
    assert len(server.received("end")) == 1


def test_a_newer_command_gets_a_connection_of_its_own(meet):
    server, client, told = meet(reply="silent")
    old = client.send_audio(SPEECH)
    told.wait(ProcessingStarted)
    client.abandon(old)
    new = client.send_audio(SPEECH[:200])
    end = told.end_of(old)
    assert (end.verdict, end.code, end.chunks) == (Verdict.ABANDONED, "interrupted", 0)
    told.wait(ProcessingStarted, that=lambda event: event.turn_id == new)
    first, second = server.received("end")
    assert first["sid"] != second["sid"]
    assert told.all(LinkDown) == []
    assert len(told.all(LinkUp)) == 1


def test_a_hostile_reply_is_refused_piece_by_piece_and_the_turn_ends(meet):
    server, client, told = meet(reply="hostile")
    for number in (1, 2):
        turn_id = client.send_audio(SPEECH)
        assert told.end_of(turn_id) == Finished(turn_id, Verdict.DONE, "", 1, 3)
        assert [each.index for each in told.all(ReplyAudio)] == number * [3]
    assert told.all(LinkDown) == []
    assert server.received("connect")[1:] == []


def test_a_start_without_an_answer_is_offered_again_on_another_link(meet):
    server, client, told = meet(IMPATIENT, listening=False)
    turn_id = client.send_audio(SPEECH)
    wait_until(lambda: len(server.received("start")) >= 3)
    assert len({each["sid"] for each in server.received("start")}) >= 3
    assert server.received("chunk") == []
    server.kill()
    server.start(listening=True)
    assert told.end_of(turn_id).verdict is Verdict.DONE
    assert len(server.received("end")) == 1


@pytest.mark.parametrize(
    ("behaviour", "end", "indexes"),
    [
        ({"reply": "error"}, (Verdict.FAILED, "not_understood", 0), []),
        ({"reply": "silent", "reply_s": 1.0}, (*NO_REPLY, 0), []),
        ({"reply": "unended", "reply_s": 1.0}, (*NO_REPLY, 1), [0]),
        ({"reply": "late_first"}, (Verdict.DONE, "", 2), [0, 1]),
        ({"reply": "late_first", "gap_s": 0.5}, (Verdict.DONE, "", 1, 1), [1]),
        (
            {"reply": "late_first", "whole_reply_s": 0.5},
            (Verdict.REPLY_LOST, "no_reply", 1, 1),
            [1],
        ),
    ],
    ids=["error", "silence", "no_end", "slower_first", "gap_s", "whole_reply_s"],
)
def test_a_reply_ends_a_turn(meet, behaviour, end, indexes):
    server, client, told = meet(**behaviour)
    for number in range(2 if behaviour == {"reply": "error"} else 1):
        turn_id = client.send_audio(SPEECH)
        assert told.end_of(turn_id) == Finished(turn_id, *end)
        assert len(server.received("start")) == number + 1
    assert [each.index for each in told.all(ReplyAudio)] == indexes
    assert (ChunksMissing(turn_id, (0,)) in told.events) == (len(end) > 3)
    assert len({each["sid"] for each in server.received("start")}) == 1


@pytest.mark.parametrize(
    ("behaviour", "end", "runs"),
    [
        ({"listening": False, "fresh_s": 1}, (Verdict.EXPIRED, "too_old", 0), 0),
        ({"reply": "none"}, (Verdict.IN_DOUBT, "no_processing", 0), 1),
    ],
    ids=["start", "commit"],
)
def test_an_utterance_without_an_answer_ends_in_time(meet, behaviour, end, runs):
    server, client, told = meet(IMPATIENT, **behaviour)
    began = time.monotonic()
    turn_id = client.send_audio(SPEECH)
    assert told.end_of(turn_id) == Finished(turn_id, *end)
    assert time.monotonic() - began <= 2.0
    wait_until(lambda: len(server.received("connect")) >= 2)
    assert len(server.received("end")) == runs


def test_what_is_said_about_another_ear_moves_nothing_of_ours(meet):
    _, client, told = meet(reply="of_another", agent_id="den")
    turn_id = client.send_audio(SPEECH)
    assert told.end_of(turn_id) == Finished(turn_id, Verdict.DONE, "", 3)
    assert told.all(Transcribed) == [Transcribed(turn_id, "what time is it")]
    assert client.counters()["stray_messages"] == 5


def test_speech_after_a_turn_is_an_announcement(meet):
    _, client, told = meet(reply="unasked")
    end = told.end_of(client.send_audio(SPEECH))
    announced = told.wait(Announced)
    assert [sound.index for sound in announced.sounds] == [0, 1]
    assert end.chunks == len(told.all(ReplyAudio)) == 3


def test_a_paused_backend_in_the_middle_of_an_upload(meet):
    """It takes what the kernel has room for and no more: the utterance goes up on the next link."""
    server, client, told = meet(Timing(turn=Timeouts(start_ack_s=0.5)), connect_s=1.0)
    server.pause()
    turn_id = client.send_audio(SPEECH)
    told.wait(LinkDown, within_s=8.0)
    server.resume()
    assert told.end_of(turn_id).verdict is Verdict.DONE
    assert len(server.received("end")) == 1


@pytest.mark.parametrize("audio", [b"", b"\x00\x01\x02", bytes(4_000_000)])
def test_what_no_backend_would_take_fails_at_once(audio, tmp_path):
    with ear(VoiceServer(tmp_path).url) as (client, told):
        client.start()
        assert told.end_of(client.send_audio(audio)).verdict is Verdict.FAILED


def test_without_a_network_utterances_end_when_the_ear_does(tmp_path):
    with VoiceServer(tmp_path) as server, ear(server.url) as (client, told):
        turn_ids = [client.send_audio(SPEECH) for _ in range(18)]
        assert told.events == []
        client.disconnect()
        assert server.received() == []
    ends = {end.turn_id: end.verdict for end in told.all(Finished)}
    assert [ends[turn_id] for turn_id in turn_ids] == 2 * [Verdict.EXPIRED] + 16 * [Verdict.FAILED]


def test_a_listener_that_fails_does_not_stop_the_network(tmp_path, caplog):
    told = Told()

    def listener(event):
        told(event)
        raise ZeroDivisionError

    with VoiceServer(tmp_path) as server:
        config = BackendOptions(url=server.url, password=PASSWORD)
        with BackendClient(config, on_event=listener) as client:
            assert client.connect()
            assert told.end_of(client.send_audio(SPEECH)).verdict is Verdict.DONE
    assert "on_event failed at LinkUp" in caplog.text


def test_nobody_needs_to_listen(tmp_path):
    with VoiceServer(tmp_path) as server:
        with BackendClient(BackendOptions(url=server.url, password=PASSWORD)) as client:
            client.send_audio(SPEECH, turn_id="mine")
            wait_until(lambda: server.received("end"))
        assert not client.connected


def test_secrets_and_voices_stay_out_of_the_log(meet, caplog):
    caplog.set_level(logging.DEBUG)
    libraries = ("engineio", "socketio", "engineio.client", "socketio.client", "urllib3", "aiohttp")
    for name in libraries:
        caplog.set_level(logging.DEBUG, logger=name)
    server, client, told = meet()
    told.end_of(client.send_audio(SPEECH))
    server.kick()
    told.wait(LinkUp, number=2)
    server.kill()
    server.start(secret="second", reply="error")
    told.wait(LinkUp, number=3)
    told.end_of(client.send_audio(SPEECH))
    server.kill()
    server.start(password="changed", secret="third")
    wait_until(lambda: "does not accept the password" in caplog.text)
    turn_id = client.send_audio(SPEECH)
    client.disconnect()
    assert told.end_of(turn_id).verdict is Verdict.FAILED
    said = "\n".join(f"{each.getMessage()} {each.args} {each.exc_text}" for each in caplog.records)
    assert "backend reached" in said
    voice = base64.b64encode(SPEECH[:30]).decode()
    for secret in (PASSWORD, "canary", "what time is it", voice):
        assert secret not in said


def test_an_expired_utterance_says_why_the_backend_was_away(tmp_path):
    with ear(VoiceServer(tmp_path).url) as (client, told):
        client.start()
        reason = told.wait(LinkDown).reason
        client.send_audio(CapturedAudio(SPEECH, "old", spoken_at=clock() - 60))
        end = told.end_of("old")
    assert (end.verdict, end.away) == (Verdict.EXPIRED, reason)


def test_the_age_counts_from_the_last_word(meet):
    server, client, told = meet(fresh_s=5)
    old = CapturedAudio(SPEECH, "old", spoken_at=clock() - 5.5)
    fresh = CapturedAudio(SPEECH, "fresh", spoken_at=clock() - 2.0)
    assert [client.send_audio(old), client.send_audio(fresh)] == ["old", "fresh"]
    assert told.end_of("old").verdict is Verdict.EXPIRED
    assert told.end_of("fresh").verdict is Verdict.DONE
    assert len(server.received("end")) == 1


def test_a_sentence_that_waits_is_replaced_and_was_not_run(tmp_path):
    server = VoiceServer(tmp_path)
    with ear(server.url) as (client, told):
        old = client.send_audio(SPEECH)
        client.abandon(old)
        new = client.send_audio(SPEECH[:200])
        client.start()
        end = told.end_of(old)
        assert (end.verdict, end.code) == (Verdict.REPLACED, "interrupted")
        with server:
            assert told.end_of(new).verdict is Verdict.DONE
            assert [each["bytes"] for each in server.received("chunk")] == [244]


def test_an_owner_may_have_both_in_order(tmp_path):
    server = VoiceServer(tmp_path)
    with ear(server.url, waiting="queue") as (client, told):
        old = client.send_audio(SPEECH)
        client.abandon(old)
        new = client.send_audio(SPEECH[:200])
        unwanted = client.send_audio(SPEECH[:400])
        client.abandon(unwanted, newer=False)
        client.start()
        assert told.wait(StillWaiting) == StillWaiting(old)
        assert told.end_of(unwanted).verdict is Verdict.REPLACED
        with server:
            assert told.end_of(new).verdict is Verdict.DONE
            assert told.end_of(old).verdict is Verdict.DONE
            sizes = [each["bytes"] for each in server.received("chunk")]
    assert sizes == [44 + len(SPEECH), 244]


def test_a_backend_that_is_busy_is_given_a_moment(meet, caplog):
    caplog.set_level(logging.DEBUG)
    server, client, told = meet(reply="fails_first")
    turn_id = client.send_audio(SPEECH)
    refused, at = told.wait(Refused), time.monotonic()
    assert told.end_of(turn_id).verdict is Verdict.DONE
    assert refused.code == "stt_unavailable"
    assert 0.5 <= refused.retry_s <= 2.0
    assert time.monotonic() - at > refused.retry_s - 0.1
    assert len(server.received("end")) == 2
    [quoted] = [each for each in caplog.records if "error of the backend" in each.getMessage()]
    assert quoted.levelno == logging.DEBUG


def test_the_words_of_a_backend_move_no_terminal(caplog):
    caplog.set_level(logging.DEBUG)
    sender._log(BackendError("busy\x1b[2J\r\nturn 1: done\u202e" + 1000 * "x"))
    [said] = [each.getMessage() for each in caplog.records]
    assert said.isprintable()
    assert len(said) < 600
