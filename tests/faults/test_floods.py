"""Rows 15 and 16 of the fault matrix: a backend that says too much, or nonsense."""

import pytest

from fakes.ear import EarProcess, ear, timing
from fakes.hostile import FRAMES, Hostile
from fakes.numbered import numbered
from fakes.voice_server import Switches, VoiceServer, wait_until
from jarvis_ear.delivery.events import ReplyAudio, Verdict

KIB_OF_A_FLOOD = 16 * 1024

USABLE_AGAIN_S = 15.0


@pytest.mark.parametrize(
    ("reply", "verdicts"),
    [
        ("huge", {"reply_lost"}),
        ("burst", {"reply_lost"}),
        pytest.param("endless", {"reply_lost"}, marks=pytest.mark.slow),
    ],
)
def test_row_15_a_flood(reply, verdicts, tmp_path):
    with VoiceServer(tmp_path) as server, EarProcess(server.url, reply_s=2.0) as daemon:
        daemon.wait("LinkUp")
        daemon.tell(do="say", turn="before", number=1)
        daemon.wait("Finished", turn_id="before")
        server.kill()
        server.start(reply=reply)
        had_kib, had_threads = daemon.resident_kib(), daemon.threads()
        daemon.wait("LinkUp")
        daemon.tell(do="say", turn="flood", number=2)
        end = daemon.wait("Finished", turn_id="flood", within_s=20.0)
        grew_kib = daemon.resident_kib() - had_kib
        server.kill()
        server.start(reply="spoken")
        daemon.tell(do="say", turn="after", number=3)
        assert daemon.wait("Finished", turn_id="after")["verdict"] == "done"
        wait_until(lambda: daemon.threads() <= had_threads)
    assert end["verdict"] in verdicts
    assert grew_kib <= KIB_OF_A_FLOOD
    assert server.numbers() == [1, 2, 3]


def test_row_15_a_gap_a_repetition_and_two_ends(tmp_path):
    with VoiceServer(tmp_path, Switches(reply="gap")) as server, ear(server.url) as (client, told):
        for number in (1, 2):
            turn_id = client.send_audio(numbered(number))
            client.start()
            end = told.end_of(turn_id)
            assert (end.verdict, end.chunks) == (Verdict.DONE, 3)
            mine = [each.index for each in told.all(ReplyAudio) if each.turn_id == turn_id]
            assert mine == [0, 2, 3]


def test_row_16_malformed_frames(tmp_path, shortest_waits):
    """One strange frame in every turn: whatever it does to the link, the next turn gets through."""
    with (
        Hostile("frames") as server,
        ear(server.url, timing(10), reply_s=0.5, connect_s=1.0) as (client, told),
    ):
        client.start()
        for number in range(len(FRAMES)):
            end = told.end_of(client.send_audio(numbered(number)), within_s=USABLE_AGAIN_S)
            assert end.verdict in {Verdict.DONE, Verdict.REPLY_LOST}, FRAMES[number]
            wait_until(lambda: client.connected, USABLE_AGAIN_S)
