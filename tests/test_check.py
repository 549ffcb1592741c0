"""What `jarvis-ear check` says: all mistakes, or all dangers and that it is fine."""

import pytest

from jarvis_ear.check import check
from jarvis_ear.errors import ConfigError
from jarvis_ear.options import load

SAFE = {"JARVIS_PASSWORD": "canary"}


def said(*argv, **environ):
    return check(load(argv, {**SAFE, **environ})).splitlines()


def test_a_configuration_without_dangers_is_fine():
    assert said() == ["the configuration is fine"]


def test_mistakes_of_reading_are_told_as_ever():
    with pytest.raises(ConfigError, match=r"threshold"):
        said("--threshold", "7")


def test_what_the_ear_would_refuse_is_a_mistake_with_its_source(tmp_path):
    model = tmp_path / "none.onnx"
    with pytest.raises(ConfigError) as caught:
        said(
            *("--wake-model", str(model), "--bus.url", "ws://10.0.0.1"),
            BACKEND_URL="http://10.0.0.1:4000",
        )
    backend, bus, wake = str(caught.value).splitlines()
    assert "BACKEND_URL" in backend
    assert "unencrypted" in backend
    assert "bus.url" in bus
    assert "none.onnx is no file" in wake
    assert caught.value.exit_status == 78


def test_an_authority_that_cannot_be_used_is_a_mistake(tmp_path):
    with pytest.raises(ConfigError, match=r"^command line.*backend\.ca_file: "):
        said("--backend.ca-file", str(tmp_path / "none.pem"))


@pytest.mark.parametrize(
    ("options", "danger"),
    [
        (("--backend.url=http://10.0.0.1", "--backend.allow-plaintext"), "unencrypted"),
        (("--backend.delivery=at_least_once",), "may run twice"),
        (("--bus.url=ws://127.0.0.1:1",), "bus.key"),
        (("--bus.url=ws://127.0.0.1:1", "--bus.may-unmute"), "bus.may_unmute"),
        (("--log-transcripts",), "log.transcripts"),
    ],
)
def test_dangers_are_told_and_allowed(options, danger):
    *careful, last = said(*options)
    assert last == "the configuration is fine"
    assert any(danger in line and line.startswith("careful: ") for line in careful)
    assert "canary" not in " ".join(careful)


def test_the_password_that_everybody_knows_is_a_danger():
    assert "everybody knows" in check(load([], {}))
    assert "everybody knows" not in check(load(["--with-backend"], {}))
