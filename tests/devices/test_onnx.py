import os
import subprocess
import sys
from pathlib import Path

import pytest

from jarvis_ear.devices import models
from jarvis_ear.devices.models import open_model, shipped_model
from jarvis_ear.errors import ConfigError

MODELS = ["melspectrogram.onnx", "embedding_model.onnx", "hey_jarvis_v0.1.onnx", "silero_vad.onnx"]


@pytest.mark.parametrize("name", MODELS)
def test_what_we_need_is_in_the_wheel(name):
    assert shipped_model(name).stat().st_size > 100_000


def test_a_wheel_of_another_version_is_named():
    with pytest.raises(ConfigError, match=r"no melody\.onnx: version 0\.4\.0 is expected"):
        shipped_model("melody.onnx")


def test_a_missing_wheel_is_named(monkeypatch):
    monkeypatch.setattr(models.importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(ConfigError, match="openwakeword is not installed"):
        shipped_model("melspectrogram.onnx")


def text_file(folder: Path) -> Path:
    file = folder / "word.onnx"
    file.write_text("not a model")
    return file


def empty_file(folder: Path) -> Path:
    file = folder / "word.onnx"
    file.touch()
    return file


@pytest.mark.parametrize(
    "make", [text_file, empty_file, lambda folder: folder / "absent.onnx", Path]
)
def test_what_is_no_model_is_the_users_to_mend(make, tmp_path):
    path = make(tmp_path)
    with pytest.raises(ConfigError, match="is not a model that onnxruntime can load") as error:
        open_model(path)
    assert str(path) in str(error.value)


def test_a_model_runs_in_the_thread_that_asks():
    options = open_model(shipped_model("silero_vad.onnx")).get_session_options()
    assert options.intra_op_num_threads == 1
    assert options.inter_op_num_threads == 1
    assert options.get_session_config_entry("session.intra_op.allow_spinning") == "0"


LOAD = """
import json, sys, threading
from jarvis_ear.devices.models import OpenWakeWord
from jarvis_ear.devices.models import Silero
from jarvis_ear.devices.models import WebRtcVad
WebRtcVad(1).is_speech(bytes(640))
Silero().probability(bytes(6400), 1.0)
OpenWakeWord().score(bytes(25600))
heavy = {"openwakeword", "scipy", "sklearn", "joblib", "tqdm", "requests", "pkg_resources"}
print(sorted(heavy & set(sys.modules)))
"""


def test_hearing_loads_no_heavy_package_and_leaves_nothing_at_home(tmp_path):
    environment = {
        name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"
    }
    done = subprocess.run(
        [sys.executable, "-c", LOAD],
        env={**environment, "HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache")},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stdout == "[]\n"
    assert list(tmp_path.iterdir()) == []
