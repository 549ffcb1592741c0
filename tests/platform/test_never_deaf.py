"""The whole ear on a card that is pulled, brought back, muted and stalled: never silently deaf."""

import os
import re
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from fakes.recordings import DATA, QUESTION, recording
from fakes.running_ear import RunningEar, run_verb
from fakes.vmic import NEEDS_CARD, VirtualCard, vmic
from fakes.websocket_server import WebSocketServer
from jarvis_ear.audio.resample import resample

pytestmark = NEEDS_CARD

TIMES = 20
QUICK = ("--hearing.endpointing.hangover-ms", "300")


@pytest.fixture
def card(tmp_path: Path) -> VirtualCard:
    """A card that hears the question a second after every opening."""
    return vmic(tmp_path, np.concatenate([np.zeros(4000, np.int16), recording(QUESTION)]))


def running(tmp_path: Path, card: VirtualCard, *options: str) -> RunningEar:
    return RunningEar(tmp_path, card.environment, "--speaker.device", "none", *options)


@pytest.fixture
def hearing(tmp_path: Path, card: VirtualCard):
    with running(tmp_path, card) as ear:
        ear.wait_hearing()
        yield ear


def count(pattern: str, log: str) -> int:
    return len(re.findall(pattern, log))


def back_within(ear: RunningEar, card: VirtualCard, seconds: float = 5.0) -> None:
    card.plug()
    ear.wait_hearing(seconds)


def quickly(tmp_path: Path) -> VirtualCard:
    """A card that hears the wake word and continuous speech from the moment it is opened.

    Now and then a wake word is not heard: it is said again.
    """
    whole = recording(QUESTION)
    talking_on = np.concatenate([whole[:44_000], np.tile(whole[36_000:44_000], 10)])
    return vmic(tmp_path, np.tile(talking_on, 4))


def while_idle(folder: Path) -> None:
    card = vmic(folder, np.zeros(0, np.int16))
    with running(folder, card) as ear:
        ear.wait_hearing()
        for _ in range(TIMES):
            card.unplug()
            ear.wait_deaf()
            back_within(ear, card)
        report = ear.status()
    log = ear.told()
    assert report["deaf_s_today"] > TIMES * 0.1
    assert count("microphone lost", log) <= TIMES  # repeated lines are throttled
    assert "Traceback" not in log


def in_mid_sentence(folder: Path) -> None:
    card = quickly(folder)
    with running(folder, card, "--with-backend") as ear:
        for _ in range(TIMES):
            ear.wait_for("-> capturing")
            ear.rest(0.6)
            card.unplug()
            ear.wait_for("(ended by microphone lost")
            ear.wait_deaf()
            back_within(ear, card)
        ear.wait_until(lambda: count("sent: ", ear.told()) >= TIMES)
    assert "Traceback" not in ear.told()


def during_a_reply(*speaker: str, folder: Path) -> None:
    question = np.concatenate([recording(QUESTION), np.zeros(8 * 16_000, np.int16)])
    card = vmic(folder, np.tile(question, 4))  # now and then a wake word is not heard
    with RunningEar(folder, card.environment, "--with-backend", *QUICK, *speaker) as ear:
        for _ in range(TIMES):
            ear.wait_for("-> speaking")
            card.unplug()
            ear.wait_deaf()
            back_within(ear, card)
        ear.wait_for("-> speaking")  # the reply to the next question is heard again
        ear.wait_for(": done")
    log = ear.told()
    assert "Traceback" not in log


@pytest.mark.unplug
def test_twenty_times_over(tmp_path):
    """Four ears at the same time, for minutes: most of it they wait."""
    silent = partial(during_a_reply, "--speaker.device", "none")
    faults = (while_idle, in_mid_sentence, during_a_reply, silent)
    with ThreadPoolExecutor() as pool:
        folders = [tmp_path / str(number) for number in range(len(faults))]
        for folder in folders:
            folder.mkdir()
        list(pool.map(lambda fault, folder: fault(folder=folder), faults, folders))


def test_another_program_that_holds_the_microphone_is_outwaited(tmp_path, card):
    holder = subprocess.Popen(
        [sys.executable, Path(__file__).parent / "capture_program.py"],
        env=card.environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    try:
        assert b"block" in holder.stdout.readline()
        with running(tmp_path, card) as ear:
            ear.wait_for("microphone lost, looking for it")
            ear.wait_deaf()
            holder.kill()
            holder.communicate()
            ear.wait_hearing(5.0)
            ear.wait_for("-> capturing")
    finally:
        holder.kill()
        holder.communicate()


def test_a_card_that_comes_back_under_another_number_is_found_by_its_name(tmp_path, card):
    before = number(card)
    with running(tmp_path, card, "--microphone.device", "vmic") as ear:
        ear.wait_hearing()
        card.unplug()
        ear.wait_deaf()
        card.renumber()
        back_within(ear, card)
        ear.wait_for("-> capturing")
    assert number(card) != before


def number(card: VirtualCard) -> str:
    listed = run_verb(card.environment, "devices")
    return re.search(r"(\d+)  vmic ", listed.stdout)[1]


def test_while_it_is_gone_it_costs_little_and_says_little(hearing, card):
    card.unplug()
    hearing.wait_deaf()
    before = hearing.cpu_s()
    hearing.rest(6.0)
    used = hearing.cpu_s() - before
    assert used / 6.0 < 0.05
    assert hearing.status()["stuck"] == []  # it looks for the microphone: that is its work
    since = hearing.told().partition("microphone lost")[2].splitlines()[1:]
    back_within(hearing, card)
    assert len(since) <= 1, since


def test_muted_means_no_handle_and_survives_what_it_has_to(tmp_path, card):
    sound = str(card.folder / "in.raw")
    with running(tmp_path, card) as ear:
        ear.wait_until(lambda: sound in ear.files())
        assert ear.ask("mute") == {
            "muted_by": ["owner"],
            "muted_until": "",
            "stored": True,
        }
        ear.wait_until(lambda: sound not in ear.files(), within_s=2.0)
        report = ear.status()
        assert (report["state"], report["hearing"], report["stuck"]) == ("muted", False, [])
        card.unplug()
        card.plug()  # a microphone that is plugged in again changes nothing
        ear.kill()
    with running(tmp_path, card) as ear:
        ear.rest(1.0)
        assert ear.status()["muted_by"] == ["owner"]
        assert sound not in ear.files()
        assert "muted by the owner: the microphone stays closed" in ear.told()
        assert ear.ask("unmute") == {"muted_by": [], "muted_until": "", "stored": True}
        took_s = ear.wait_hearing()
        assert took_s < 5.0
        assert ear.remembers()["by"] == []


def test_quiet_hours_close_it_and_the_owner_may_end_them(tmp_path, card):
    now = datetime.now().astimezone()
    hours = [f"{now + timedelta(hours=away):%H:%M}" for away in (-2, 2)]
    with running(tmp_path, card, "--microphone.mute-between", "-".join(hours)) as ear:
        assert ear.status()["muted_by"] == ["clock"]
        assert str(card.folder / "in.raw") not in ear.files()
        assert ear.ask("unmute")["muted_by"] == []
        ear.wait_hearing()


def test_unmuted_without_a_microphone_it_is_deaf_and_says_so(hearing, card):
    hearing.ask("mute")
    hearing.wait_for("-> muted")
    card.unplug()
    hearing.ask("unmute")
    hearing.wait_deaf()
    back_within(hearing, card)


def test_a_card_that_stalls_is_heard_again(hearing, card):
    card.stall()
    assert "gave no sound for 500 ms" in hearing.wait_for("microphone lost")
    back_within(hearing, card)


def test_a_card_of_48_khz_and_two_channels_only_is_understood(tmp_path):
    pair = np.repeat(resample(recording(QUESTION), 16_000, 48_000)[:, None], 2, axis=1)
    card = vmic(tmp_path, pair, rate=48_000, channels=2)
    options = ("--with-backend", "--log-transcripts", "--microphone.channel", "mix")
    with running(tmp_path, card, *options) as ear:
        ear.wait_for('understood "what time is it"')
        assert ear.status()["samples_lost"] == 0


class SulkingServer(WebSocketServer):
    """Takes every connection and answers none: some are left hanging, some are cut."""

    visits = 0

    def accept(self, connection: socket.socket) -> bool:
        self.visits += 1
        while self.visits % 2 and connection.recv(4096):
            pass
        return False


def test_no_frame_is_lost_to_a_backend_that_misbehaves(tmp_path, card):
    with SulkingServer() as server:
        options = ("--backend-url", server.url, "--backend.connect-s", "0.5")
        with running(tmp_path, card, *options) as ear:
            ear.wait_for("-> thinking")
            ear.wait_until(lambda: server.visits >= 3)
            report = ear.status()
    assert report["hearing"]
    assert not report["connected"]
    lost = ("dropped_samples", "dropped_events", "samples_lost", "gaps", "overflows")
    assert {name: report[name] for name in lost} == dict.fromkeys(lost, 0)


def test_a_mute_switch_makes_it_deaf_and_the_next_word_is_heard(tmp_path):
    """Nothing but zeros until the word itself, as behind a noise gate."""
    card = vmic(
        tmp_path, np.concatenate([recording(QUESTION), np.zeros(20 * 16_000, np.int16)] * 2)
    )
    with running(tmp_path, card) as ear:
        ear.wait_for("-> thinking")
        ear.wait_deaf()
        report = ear.status()
        assert not report["hearing"]
        assert "gives only zeros: muted, or not connected?" in report["deaf_reason"]
        done = run_verb(ear.environment, "status", check=False)
        assert done.returncode == 1
        assert "deaf: microphone 'default' gives only zeros" in done.stdout.splitlines()[0]
        assert "\n  to do         check the mute switch and the cable; " in done.stdout
        ear.wait_for("gives sound again")
        ear.wait_for("-> capturing")
        report = ear.status()
        assert (report["hearing"], report["deaf_reason"]) == (True, "")
        assert report["deaf_s_today"] > 5


def test_a_mute_of_the_owner_does_not_hide_a_mute_switch(hearing, card):
    card.mute()
    hearing.wait_deaf()
    for _ in range(3):
        hearing.ask("mute")
        hearing.ask("unmute")
        hearing.wait_deaf(2.0)


def test_a_name_that_is_not_utf8_costs_nobody_the_other_devices(tmp_path, card):
    file = card.folder / "asound.conf"
    odd = (DATA / "non-utf8-device" / "asound.conf").read_bytes()
    file.write_bytes(file.read_bytes() + odd.partition(b"\n")[2])
    with running(tmp_path, card, "--microphone.device", "vmic") as ear:
        ear.wait_for("-> capturing")
    assert "Traceback" not in ear.told()
    listed = run_verb(card.environment, "devices")
    assert "K\ufffdche" in listed.stdout
    assert "  vmic  " in listed.stdout
    assert listed.stderr == ""


def test_a_sound_library_that_crashes_is_told_of_once(tmp_path, card):
    """Every child that is started ends at once: what it says is the cause, and not a traceback."""
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "sounddevice.py").write_text("raise RuntimeError('no luck today')\n")
    path = os.pathsep.join((str(broken), card.environment["PYTHONPATH"]))
    environment = {**card.environment, "PYTHONPATH": path}
    with RunningEar(tmp_path, environment, "--device", "vmic", "--speaker.device", "none") as ear:
        ear.rest(6.0)
        report = ear.status()
    cause = "the sound system has crashed (RuntimeError: no luck today)"
    assert report["deaf_reason"] == cause
    assert "jarvis-ear devices" in report["deaf_remedy"]
    assert count(re.escape(cause), ear.told()) == 1
    assert "Traceback" not in ear.told()
