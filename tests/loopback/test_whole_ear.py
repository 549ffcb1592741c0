"""The whole ear, as a person starts it: a recording in, a spoken answer out."""

import json
import os
import re
import signal
import subprocess
import sys
import time
import wave
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from fakes.ear import PASSWORD
from fakes.levered_ear import HASTY_S
from fakes.program import run as run_program
from fakes.recordings import QUESTION, recording
from fakes.running_ear import LEVERED
from fakes.voice_server import Switches, VoiceServer
from jarvis_ear.components import HANGS_S

DATA = Path(__file__).parents[1] / "data"
RECORDING = DATA / "hey-jarvis-what-time-is-it.wav"


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "jarvis_ear", "run", "--with-backend", *arguments]


def run(*arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
    settings = {"capture_output": True, "text": True, "timeout": 120, **options}
    return subprocess.run(command(*arguments), check=False, **settings)


NOT_HEARD = {
    "none": ("no_speaker", "no speaker is configured: replies are not heard"),
    "no such speaker": ("speaker_unavailable", "replies are not heard: "),
}
"""Why nobody hears a reply, by the configured speaker. The ear with the first one hears raw sound
on standard input, the other ear a sound file."""


@pytest.fixture(scope="module")
def turns(tmp_path_factory):
    """Ears that hear the question, each with its folder: two run while the tests wait for one."""
    folders = {name: tmp_path_factory.mktemp("turn") for name in ("spoken", *NOT_HEARD)}
    recorded = ("--input", str(RECORDING), "--log-transcripts")
    as_json = ("--log-transcripts", "--log-format", "json", "--speaker.device")
    arguments = {
        "spoken": (*recorded, "--output-dir", f"{folders['spoken']}/said"),
        "none": ("--input", "-", *as_json, "none"),
        "no such speaker": (*recorded[:2], *as_json, "no such speaker"),
    }
    pcm = recording(QUESTION).tobytes()

    def hear(name):
        own = dict.fromkeys(("RUNTIME_DIRECTORY", "STATE_DIRECTORY"), str(folders[name]))
        options = {"text": False, "input": pcm} if name == "none" else {}
        return run("--fast", *arguments[name], env={**os.environ, **own}, **options)

    with ThreadPoolExecutor(2) as threads:
        yield {name: (folder, threads.submit(hear, name)) for name, folder in folders.items()}


def test_it_hears_the_question_and_speaks_the_answer(turns):
    folder, running = turns["spoken"]
    replies, done = folder / "said", running.result()
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.rstrip().endswith("jarvis-ear stops"), "libraries say nothing behind us"
    assert re.search(r'understood "what time is it"', done.stderr), done.stderr
    files = sorted(replies.iterdir())
    assert files, "no reply was spoken"
    assert replies.stat().st_mode & 0o777 == 0o700
    for file in files:
        assert file.stat().st_mode & 0o777 == 0o600
        with wave.open(str(file)) as sound:
            assert sound.getnframes() > sound.getframerate() / 2


@pytest.mark.parametrize("device", NOT_HEARD)
def test_raw_sound_or_a_file_is_heard_and_a_reply_that_was_not_heard_is_told(turns, device: str):
    (why, told), (folder, running) = NOT_HEARD[device], turns[device]
    done = running.result()
    assert done.returncode == 0, done.stderr
    records = [json.loads(line) for line in done.stderr.splitlines()]
    [end] = [record for record in records if record.get("EVENT") == "TurnEnded"]
    assert (end["OUTCOME"], end["HEARD"], end["HEARD_REASON"]) == ("done", "none", why)
    assert any(told in record["MESSAGE"] for record in records)
    assert any('understood "what time is it"' in record["MESSAGE"] for record in records)
    lines = [json.loads(line) for line in (folder / "ledger.jsonl").read_text().splitlines()]
    verdict, heard = lines
    assert (verdict["turn"], verdict["verdict"]) == (end["TURN_ID"], "done")
    assert (heard["turn"], heard["heard"], heard["heard_reason"]) == (end["TURN_ID"], "none", why)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_within_two_seconds_and_nothing_stays(number: signal.Signals):
    ear = subprocess.Popen(
        command("--input", str(RECORDING), "--speaker.device", "none"),
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert ear.stderr is not None
    for line in ear.stderr:
        if "hearing" in line:
            break
    began = time.monotonic()
    ear.send_signal(number)
    _, said = ear.communicate(timeout=20)
    assert time.monotonic() - began < 2.0
    assert ear.returncode == 0, said
    assert "Traceback" not in said
    with pytest.raises(ProcessLookupError):
        os.killpg(ear.pid, 0)  # no child of its session is left


def test_a_second_ear_with_the_same_folder_is_refused(tmp_path):
    folder = ("--spool.dir", str(tmp_path / "spool"))
    nobody = ("--backend-url", "http://127.0.0.1:9", "--speaker.device", "none")
    ear = [sys.executable, "-m", "jarvis_ear", "run", "--input", "-", *nobody, *folder]
    first = subprocess.Popen(ear, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert first.stderr is not None
        for line in first.stderr:
            if "backend not usable" in line:
                break
        second = run("--input", str(RECORDING), *nobody, *folder)
        assert first.poll() is None
    finally:
        first.kill()
        first.communicate(timeout=20)
    assert second.returncode == 75
    assert "another jarvis-ear is running" in second.stderr
    assert "Traceback" not in second.stderr
    assert "listening on" not in second.stderr  # not even its backend was started


def run_at(url: str, folder, *arguments: str, program: str = "jarvis_ear"):
    """Have a recording heard by an ear whose backend is somewhere else."""
    levers = {"LEVERS": str(folder), "PYTHONPATH": os.pathsep.join(sys.path)}
    return run_program(
        [
            *(sys.executable, "-m", program, "run", "--input", str(RECORDING), "--fast"),
            *("--backend-url", url, "--speaker.device", "none"),
            *("--spool.dir", str(folder / "spool"), *arguments),
        ],
        check=False,
        env={**os.environ, "JARVIS_PASSWORD": PASSWORD, **levers},
        timeout=120,
    )


@pytest.mark.usefixtures("away")
@pytest.mark.parametrize(
    ("program", "hangs_s"),
    [(LEVERED, HASTY_S), pytest.param("jarvis_ear", HANGS_S, marks=pytest.mark.long)],
)
def test_a_file_ends_with_the_verdict_of_its_last_turn_however_late_it_comes(
    tmp_path, program: str, hangs_s: float
):
    patience = ("--backend.reply-s", str(hangs_s + 2))
    (tmp_path / "hasty").touch()
    with VoiceServer(tmp_path, Switches(reply="silent")) as server:
        done = run_at(server.url, tmp_path, *patience, program=program)
    assert done.returncode == 75, done.stderr
    assert "has not answered for" not in done.stderr
    last_line = "jarvis-ear: the last command of the input ended as reply lost (no reply)"
    assert done.stderr.splitlines()[-1] == last_line
    assert "Traceback" not in done.stderr


@pytest.fixture(scope="module")
def away(tmp_path_factory):
    """An ear whose backend is away, which waits while the test before does."""
    folder = tmp_path_factory.mktemp("away")
    with ThreadPoolExecutor(1) as thread:
        yield thread.submit(run_at, "http://127.0.0.1:9", folder, "--backend.fresh-s", "5")


def test_a_file_whose_backend_is_away_ends_when_its_last_turn_has_expired(away):
    done = away.result()
    assert done.returncode == 75, done.stderr
    last_line = "jarvis-ear: the last command of the input ended as expired (too old)"
    assert done.stderr.splitlines()[-1] == last_line


def test_a_file_ends_well_with_a_reply(tmp_path):
    with VoiceServer(tmp_path) as server:
        done = run_at(server.url, tmp_path)
    assert done.returncode == 0, done.stderr


def test_plain_text_to_another_machine_is_a_mistake_of_the_configuration(tmp_path):
    done = run_at("http://192.0.2.1:4000", tmp_path)
    assert done.returncode == 78
    assert "backend.url: http://192.0.2.1:4000 would get" in done.stderr
    assert "Traceback" not in done.stderr
