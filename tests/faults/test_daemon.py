"""Rows 26 and 28 of the fault matrix: the whole ear is told to stop; a second one is started."""

import os
import signal
import time

import pytest

from fakes.recordings import DATA, QUESTION, recording
from fakes.running_ear import RunningEar
from fakes.vmic import missing_tools, vmic
from fakes.voice_server import Switches, VoiceServer, wait_until

STOPPED_S = 2.0

SILENT = ("--input", str(DATA / f"{QUESTION}.wav"), "--speaker.device", "none")


def daemon(server, folder, *arguments, environment=None):
    told = {"BACKEND_URL": server.url, "JARVIS_PASSWORD": server.switches.password}
    surroundings = {**(environment or os.environ), **told}
    return RunningEar(folder, surroundings, "--log.level", "debug", *arguments)


def stops_in_time(ear):
    """SIGTERM it, and say whether it ends well and soon."""
    began = time.monotonic()
    ear.signal(signal.SIGTERM)
    assert ear.wait_ended(60) == 0, ear.told()
    took_s = time.monotonic() - began
    assert "Traceback" not in ear.told()
    return took_s <= STOPPED_S


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        ("silent", "hearing "),
        pytest.param("silent", "idle -> listening", marks=pytest.mark.slow),
        pytest.param("silent", "listening -> capturing", marks=pytest.mark.slow),
        pytest.param("none", "sent: ", marks=pytest.mark.slow),
        ("silent", "the backend accepted it"),
        pytest.param("stops", "capturing -> thinking", marks=pytest.mark.slow),
        ("stops", "sent: "),
    ],
)
def test_row_26_stopped_in_every_state(reply, words, tmp_path):
    """``stops``: the backend itself is stopped, with data under way."""
    server = VoiceServer(tmp_path, Switches(reply=reply))
    with server, daemon(server, tmp_path, *SILENT) as ear:
        ear.wait_for(words)
        assert stops_in_time(ear)
        server.resume()


@pytest.mark.skipif(missing_tools() is not None, reason=str(missing_tools()))
def test_row_26_stopped_while_it_speaks(tmp_path):
    card = vmic(tmp_path, recording(QUESTION))
    server = VoiceServer(tmp_path, Switches(reply="speech"))
    with server, daemon(server, tmp_path, environment=card.environment) as ear:
        ear.wait_for("thinking -> speaking")
        assert stops_in_time(ear)


def test_row_26_what_was_not_sent_is_kept_for_the_next_start(tmp_path):
    server = VoiceServer(tmp_path)
    with daemon(server, tmp_path, *SILENT) as ear:
        ear.wait_for("capturing -> thinking")
        assert stops_in_time(ear)
    assert len(list((tmp_path / "runtime" / "new").iterdir())) == 1
    with server, daemon(server, tmp_path, *SILENT) as ear:
        ear.wait_for("hearing ")
        wait_until(lambda: server.received("run"))
        assert len(server.received("run")) == 1
        assert stops_in_time(ear)


def test_row_28_a_second_ear_refuses(tmp_path):
    with VoiceServer(tmp_path) as server, daemon(server, tmp_path, *SILENT) as first:
        first.wait_for("hearing ")
        with daemon(server, tmp_path, *SILENT) as second:
            assert second.wait_ended(10) == 75
        assert "another jarvis-ear is running" in second.told()
        assert "Traceback" not in second.told()
        first.wait_for("capturing -> thinking")
        stops_in_time(first)
