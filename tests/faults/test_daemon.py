"""Row 26 of the fault matrix: the whole ear is stopped, and started again."""

import os
import signal
import time

from fakes.recordings import DATA, QUESTION
from fakes.running_ear import RunningEar
from fakes.voice_server import VoiceServer, wait_until

STOPPED_S = 2.0

SILENT = ("--input", str(DATA / f"{QUESTION}.wav"), "--speaker.device", "none")


def daemon(server, folder):
    told = {"BACKEND_URL": server.url, "JARVIS_PASSWORD": server.switches.password}
    surroundings = {**os.environ, **told}
    return RunningEar(folder, surroundings, "--log.level", "debug", *SILENT)


def stops_in_time(ear):
    """SIGTERM it, and say whether it ends well and soon."""
    began = time.monotonic()
    ear.signal(signal.SIGTERM)
    assert ear.wait_ended(60) == 0, ear.told()
    took_s = time.monotonic() - began
    assert "Traceback" not in ear.told()
    return took_s <= STOPPED_S


def test_row_26_what_was_not_sent_is_kept_for_the_next_start(tmp_path):
    server = VoiceServer(tmp_path)
    with daemon(server, tmp_path) as ear:
        ear.wait_for("capturing -> thinking")
        assert stops_in_time(ear)
    assert len(list((tmp_path / "runtime" / "new").iterdir())) == 1
    with server, daemon(server, tmp_path) as ear:
        ear.wait_for("hearing ")
        wait_until(lambda: server.received("run"))
        assert len(server.received("run")) == 1
        assert stops_in_time(ear)
