"""Options that are stored from the console: checked like a file, and in force after a reload."""

import stat

import pytest

from jarvis_ear.errors import ConfigError
from jarvis_ear.schema import TUNED_FILE, load
from jarvis_ear.tuning import Tuning


@pytest.fixture
def owner(tmp_path):
    """A person with a state folder, a configuration file, and a way to say more."""

    class Owner:
        path = tmp_path / TUNED_FILE
        file = tmp_path / "config.toml"
        reloads = 0

        def __init__(self):
            self.argv = ["--config", str(self.file)]
            self.file.write_text("[hearing.wake]\nthreshold = 0.7\n")
            self.tuning = Tuning(tmp_path, self.read, self.reload)

        def read(self):
            return load(self.argv, {"STATE_DIRECTORY": str(tmp_path)})

        def reload(self):
            self.reloads += 1

        @property
        def in_force(self):
            hearing = self.read().config.hearing
            return hearing.wake.threshold, hearing.endpointing.hangover_ms

    return Owner()


def test_what_is_stored_overrides_the_file_until_it_is_forgotten(owner):
    assert owner.in_force == (0.7, 800)
    assert owner.tuning.set({"threshold": "0.42"}) == {"threshold": 0.42}
    assert owner.tuning.set({"hangover_ms": "900"}) == {"threshold": 0.42, "hangover_ms": 900}
    assert owner.in_force == (0.42, 900)
    assert owner.read().origins["hearing.wake.threshold"].startswith(str(owner.path))
    assert stat.S_IMODE(owner.path.stat().st_mode) == 0o600
    owner.tuning.forget()
    assert owner.in_force == (0.7, 800)
    assert owner.reloads == 3


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"threshold": "1.5"}, "hearing.wake.threshold: given 1.5, expected a number from 0 to"),
        ({"hangover_ms": "50"}, "hearing.endpointing.hangover_ms: given 50, expected"),
        ({"hangover_ms": "900.5"}, "hearing.endpointing.hangover_ms: given 900.5, expected"),
        ({"threshold": "0.4\n[backend]"}, 'threshold: given "0.4\\n[backend]", expected a number'),
        ({"threshold": ""}, 'threshold: given "", expected a number'),
        ({"url": "1"}, '"url" cannot be tuned; expected threshold, hangover_ms'),
        ({"threshold": "0.4", "max_ms": "1"}, "cannot be tuned"),
    ],
)
def test_a_mistake_changes_nothing(owner, given, reason):
    owner.tuning.set({"threshold": "0.42"})
    before = owner.path.read_text()
    with pytest.raises(ConfigError) as refused:
        owner.tuning.set(given)
    assert reason in str(refused.value)
    assert owner.path.read_text() == before
    assert owner.reloads == 1


def test_a_value_that_a_stronger_source_overrides_is_refused(owner):
    owner.argv += ["--threshold", "0.3"]
    with pytest.raises(ConfigError, match=r"is set in another place, which counts: .*--threshold"):
        owner.tuning.set({"threshold": "0.42"})
    assert not owner.path.exists()
    owner.argv = ["--config", str(owner.file)]
    owner.file.write_text("no toml")
    with pytest.raises(ConfigError, match="not valid TOML"):
        owner.tuning.set({"threshold": "0.42"})
    assert (owner.reloads, owner.path.exists()) == (0, False)


def test_a_file_that_cannot_be_read_is_written_anew(owner):
    owner.path.write_text("no toml")
    assert owner.tuning.set({"hangover_ms": "700"}) == {"hangover_ms": 700}
    assert owner.in_force == (0.7, 700)
