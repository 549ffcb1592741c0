import hashlib
import io

import numpy as np
import pytest

from jarvis_ear.devices import wake_head
from jarvis_ear.devices.wake_head import UNITS, WINDOW, WakeHead
from jarvis_ear.errors import ConfigError

ARRAYS = {
    "mean": np.full(96, 2, np.float32),
    "scale": np.full(96, 0.5, np.float32),
    "hidden": np.zeros((1536, UNITS), np.float16),
    "hidden_bias": np.zeros(UNITS, np.float32),
    "output": np.ones(UNITS, np.float32),
    "output_bias": np.array([-3], np.float32),
}


@pytest.fixture
def installed(monkeypatch, tmp_path):
    """Install another file, and accept its hash."""
    (tmp_path / "models").mkdir()
    monkeypatch.setattr(wake_head.resources, "files", lambda _package: tmp_path)

    def install(content: bytes) -> None:
        (tmp_path / "models" / wake_head.FILE).write_bytes(content)
        monkeypatch.setattr(wake_head, "SHA256", hashlib.sha256(content).hexdigest())

    return install


def file_of(**changes) -> bytes:
    file = io.BytesIO()
    arrays = {name: array for name, array in (ARRAYS | changes).items() if array is not None}
    np.savez(file, **arrays)
    return file.getvalue()


def test_the_shipped_file_is_small_and_of_the_stated_hash():
    content = (wake_head.resources.files("jarvis_ear") / "models" / wake_head.FILE).read_bytes()
    assert len(content) <= 300_000
    assert hashlib.sha256(content).hexdigest() == wake_head.SHA256


def test_the_embeddings_are_scaled_and_the_units_rectified(installed):
    hidden = np.zeros((1536, UNITS), np.float16)
    hidden[0, 0], hidden[97, 1], hidden[1, 2] = 3, -4, -5
    installed(file_of(hidden=hidden))
    window = np.full(WINDOW, 2, np.float32)
    window[0, 0], window[1, 1], window[0, 1] = 4, 1, 7  # scaled: 1, -0.5 and 2.5
    assert WakeHead().logit(window) == pytest.approx(3 * 1 + 4 * 0.5 + 0 - 3, abs=1e-5)


def test_another_file_than_the_judged_one_is_refused(installed, monkeypatch):
    installed(file_of())
    monkeypatch.setattr(wake_head, "SHA256", "0" * 64)
    with pytest.raises(ConfigError, match=r"hey_jarvis_head\.npz is damaged: its SHA-256 is not 0"):
        WakeHead()


def test_a_missing_file_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr(wake_head.resources, "files", lambda _package: tmp_path)
    with pytest.raises(ConfigError, match=r"hey_jarvis_head\.npz is not installed"):
        WakeHead()


@pytest.mark.parametrize("content", [b"", b"no arrays", b"PK\x03\x04 broken"])
def test_a_file_without_arrays_is_refused(installed, content):
    installed(content)
    with pytest.raises(ConfigError, match=r"is not an \.npz file of arrays"):
        WakeHead()


def test_an_array_of_objects_is_refused(installed):
    installed(file_of(mean=np.array([{}], dtype=object)))
    with pytest.raises(ConfigError, match=r"is not an \.npz file of arrays"):
        WakeHead()


@pytest.mark.parametrize(
    "changes",
    [{"output": None}, {"more": np.zeros(1)}, {"hidden": np.zeros((16, UNITS), np.float16)}],
)
def test_other_arrays_are_refused(installed, changes):
    installed(file_of(**changes))
    with pytest.raises(ConfigError, match=r"has the arrays .*, expected \{'mean': \(96,\)"):
        WakeHead()
