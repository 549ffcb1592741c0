"""`jarvis-ear events`, as its owner meets it: without an ear, and with one that plays."""

import json
import os
import stat
import sys
import tarfile
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from fakes.hearing import written
from fakes.program import run
from jarvis_ear import cli, paths
from jarvis_ear.audio.wav import pcm_to_wav
from jarvis_ear.config import SpeakerOptions
from jarvis_ear.control.server import ControlServer
from jarvis_ear.delivery.playback import Playback, Unheard
from jarvis_ear.errors import SpeakerLost
from jarvis_ear.wake_ledger import command
from jarvis_ear.wake_ledger.clips import FOLDER, Clip, ClipFolder

WAV = pcm_to_wav(written(8000, 300))
WOKE = Clip(
    *("3fa20001", "wake", "2026-01-02T03:04:05.678+00:00", 0.83, 0.5, "Hey Jarvis"),
    *(-21.4, -60.2, 0.0, 3.0),
)
MISSED = Clip(
    *("3fb20002", "near_miss", "2026-01-02T04:00:00.000+00:00", 0.31, 0.5, "Hey Jarvis"),
    *(None, None, None, 3.0, False),
)


@pytest.fixture
def state(tmp_path, monkeypatch):
    """The state folder of a user whose ear does not run."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.delenv("STATE_DIRECTORY", raising=False)
    monkeypatch.delenv("RUNTIME_DIRECTORY", raising=False)
    monkeypatch.setattr(paths, "SERVICE", tmp_path / "run")
    monkeypatch.setattr(paths, "SERVICE_STATE", tmp_path / "var")
    return tmp_path / "home" / "jarvis-ear"


@pytest.fixture
def folder(state):
    with ClipFolder(state / FOLDER) as clips:
        for clip in (WOKE, MISSED):
            clips.add(clip, WAV)
    return state / FOLDER


def events(*words):
    return cli.main(["events", *words])


def test_a_person_sees_a_table(folder, capsys):
    assert events("list") == 0
    head, first, second = capsys.readouterr().out.splitlines()
    assert head.split() == ["id", "time", "(UTC)", "event", "score", "level", "noise", "label"]
    assert first.split() == ["3fa20001", "2026-01-02", "03:04:05", "woke", "0.83", "-21", "-60"]
    assert second.split()[3:] == ["near", "miss", "0.31", "-", "-", "false"]


def test_a_program_gets_json_with_stable_names(folder, capsys):
    assert events("list", "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert report == {
        "format": 1,
        "folder": str(folder),
        "events": [
            {
                "id": "3fa20001",
                "kind": "wake",
                "time": "2026-01-02T03:04:05.678+00:00",
                "score": 0.83,
                "threshold": 0.5,
                "word": "Hey Jarvis",
                "level_dbfs": -21.4,
                "noise_floor_dbfs": -60.2,
                "clipped_percent": 0.0,
                "seconds": 3.0,
                "label": None,
            },
            MISSED.as_json(),
        ],
    }


def test_a_label_replaces_another_and_is_private(folder, capsys):
    for word, value in (("true", True), ("false", False)):
        assert events("label", "3fa", word) == 0
        assert events("list", "--json") == 0
        assert json.loads(capsys.readouterr().out)["events"][0]["label"] is value
    assert stat.S_IMODE((folder / "3fa20001.json").stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (["label", "3f", "true"], 66, "2 clips with the id '3f': see jarvis-ear events list"),
        (["label", "77", "true"], 66, "no clip with the id '77'"),
        (["play", ""], 66, "no clip with the id ''"),
        (["label", "3fa", "perhaps"], 64, "invalid choice: 'perhaps'"),
        (["label", "3fa"], 64, "the following arguments are required: true|false"),
        (["play"], 64, "the following arguments are required: ID"),
        (["play", "3fa", "3fb"], 64, 'events play: "3fb": expected only ID'),
        (["purge", "all"], 64, "events purge takes no options"),
        (["export", "clips.zip"], 64, "clips.zip: expected a name ending in .tar.gz"),
        (["export", "/nowhere/clips.tgz"], 66, "/nowhere/clips.tgz cannot be written: No such"),
        (["lits"], 64, "did you mean list?"),
    ],
)
def test_a_mistake_has_one_clear_line(folder, capsys, words, status, message):
    assert events(*words) == status
    said = capsys.readouterr().err
    assert message in said
    assert len(said.splitlines()) == 1


def test_without_clips_there_is_nothing_to_do(state, capsys):
    assert events("list") == 0
    assert "there are no clips: see hearing.wake_ledger.enabled" in capsys.readouterr().err
    assert events("list", "--json") == 0
    assert json.loads(capsys.readouterr().out)["events"] == []
    assert events("purge") == 0
    assert capsys.readouterr().out == "removed 0 clips\n"
    for words in (["play", "3f"], ["label", "3f", "true"], ["export", "a.tgz"]):
        assert events(*words) == 66
    assert not state.exists()
    with ClipFolder(state / FOLDER):
        pass
    assert events("export", str(state / "a.tgz")) == 66
    assert [file.name for file in state.iterdir()] == [FOLDER]


def test_an_export_holds_every_clip_and_the_labels(folder, tmp_path, capsys):
    archive = tmp_path / "clips.tar.gz"
    archive.write_text("older")
    assert events("export", str(archive)) == 0
    assert "2 clips" in capsys.readouterr().out
    assert stat.S_IMODE(archive.stat().st_mode) == 0o600
    with tarfile.open(archive) as members:
        assert members.getnames() == ["3fa20001.wav", "3fb20002.wav", "labels.jsonl"]
        assert members.extractfile("3fa20001.wav").read() == WAV
        lines = members.extractfile("labels.jsonl").read().splitlines()
    assert [json.loads(line)["file"] for line in lines] == ["3fa20001.wav", "3fb20002.wav"]
    assert [json.loads(line)["label"] for line in lines] == [None, False]


def test_an_export_leaves_out_what_the_ear_removes_meanwhile(folder, tmp_path):
    (folder / "3fa20001.wav").unlink()
    assert events("export", str(tmp_path / "clips.tgz")) == 0
    with tarfile.open(tmp_path / "clips.tgz") as members:
        assert members.getnames() == ["3fb20002.wav", "labels.jsonl"]


def test_a_purge_removes_the_clips_and_nothing_else(folder, capsys):
    (folder / "notes.txt").write_text("of the owner")
    assert events("purge") == 0
    assert capsys.readouterr().out == "removed 2 clips\n"
    assert [file.name for file in folder.iterdir()] == ["notes.txt"]


def test_a_running_ear_plays_a_clip(folder, tmp_path):
    taken = []

    def take(name, body):
        taken.append((name, body))
        return {"said": True} if len(taken) == 1 else {"error": "no loudspeaker", "status": 69}

    runtime = tmp_path / "jarvis-ear"
    runtime.mkdir(mode=0o700)
    with ControlServer(runtime, lambda _word: {}, take=take):
        assert events("play", "3fa") == 0
        assert events("play", "3fb") == 69
    assert taken == [("say-sound", WAV)] * 2


def test_without_an_ear_it_is_played_on_the_configured_loudspeaker(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("JARVIS_EAR_SPEAKER__DEVICE", "none")
    assert events("play", "3fa") == 69


def test_a_loudspeaker_that_takes_the_sound_has_played_it(monkeypatch):
    class Playing:
        problem = ""
        audible = True

        def __init__(self, options, *, on_ended, on_heard, **_others):
            assert options.device == "usb"
            self.on_ended, self.on_heard, self.played = on_ended, on_heard, []

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

        def play(self, name, index, content_type, audio):
            self.played.append((name, index, content_type, audio))

        def finish(self, name):
            assert self.played == [(name, 0, "", WAV)]
            self.on_heard(name, Playback(self.audible, 0, Unheard.NOTHING))
            self.on_ended(name)

    monkeypatch.setattr("jarvis_ear.devices.speaker.Speaker", Playing)
    command.play_here(SpeakerOptions(device="usb"), WAV)
    Playing.audible, Playing.problem = False, "it was unplugged"
    with pytest.raises(SpeakerLost, match="cannot be played: it was unplugged"):
        command.play_here(SpeakerOptions(device="usb"), WAV)


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, who acts as others")


@needs_root
def test_root_acts_as_the_user_of_the_ear(state, tmp_path, monkeypatch):
    with TemporaryDirectory(dir="/tmp") as place:
        home = Path(place)
        home.chmod(0o711)
        with ClipFolder(home / FOLDER) as clips:
            clips.add(WOKE, WAV)
        for path in (home / FOLDER, *(home / FOLDER).iterdir()):
            os.chown(path, 65534, 65534)
        monkeypatch.setattr(paths, "SERVICE_STATE", home)
        assert events("label", "3fa", "true") == 0
        assert events("export", str(tmp_path / "clips.tgz")) == 0
        assert {file.stat().st_uid for file in (home / FOLDER).iterdir()} == {65534}
    assert os.geteuid() == 0
    assert (tmp_path / "clips.tgz").stat().st_uid == 0


@needs_root
def test_another_user_is_told_to_be_the_owner(folder, capsys, monkeypatch):
    state = folder.parent
    monkeypatch.setattr(paths, "SERVICE_STATE", state)
    monkeypatch.setenv("XDG_STATE_HOME", "/nonexistent")
    monkeypatch.setattr(os, "geteuid", lambda: 65534)
    os.seteuid(65534)
    try:
        state.stat()
    except PermissionError:
        assert events("list") == 77
    else:
        pytest.skip("the temporary folder is open to others")
    finally:
        os.seteuid(0)
    said = capsys.readouterr().err
    assert "belongs to another user: run this as that user, or as root" in said


def test_the_verb_loads_nothing_heavy(folder):
    heavy = ("numpy", "pydantic", "tarfile", "aiohttp", "onnxruntime")
    code = (
        "import sys; from jarvis_ear import cli; cli.main(['events', 'list']);"
        f"print(sorted(set({heavy}) & set(sys.modules)))"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = run([sys.executable, "-c", code], env=environment)
    assert done.stdout.splitlines()[-1] == "[]"
