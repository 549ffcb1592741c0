"""What `jarvis-ear check` says: all mistakes, or all dangers and that it is fine."""

import re

import pytest

from fakes.portaudio import Card, FakeSoundDevice
from jarvis_ear.check import check
from jarvis_ear.devices import portaudio_process
from jarvis_ear.devices.openwakeword import shipped_model
from jarvis_ear.errors import ConfigError
from jarvis_ear.schema import load

UNREACHABLE = "/" + "x" * 300
"""Nothing can be asked about it, as about a file in a folder of another user."""

SAFE = {"JARVIS_PASSWORD": "canary"}


def said(*argv, **environ):
    return check(load(argv, {**SAFE, **environ})).splitlines()


@pytest.mark.parametrize(
    ("options", "mistake"),
    [
        ("--threshold 7", "threshold"),
        ("--backend.ca-file /none.pem", r"^command line.*backend\.ca_file: "),
        (f"--backend.ca-file {UNREACHABLE}", r"backend\.ca_file: .*too long"),
        (f"--wake-model {UNREACHABLE}", "wake.words: .*is not a file"),
        (
            f"--wake-model {shipped_model('embedding_model.onnx')}",
            "is not an openWakeWord classifier of one word",
        ),
    ],
    ids=["value", "authority", "unreachable_authority", "unreachable_model", "model"],
)
def test_an_option_that_cannot_be_used_is_a_mistake(options, mistake):
    with pytest.raises(ConfigError, match=mistake):
        said(*options.split())


def test_what_the_ear_would_refuse_is_a_mistake_with_its_source():
    options = ("--wake-model", "/none.onnx", "--bus.url", "ws://10.0.0.1")
    with pytest.raises(ConfigError) as caught:
        said(*options, BACKEND_URL="http://10.0.0.1:4000")
    backend, bus, wake = str(caught.value).splitlines()
    assert re.search("BACKEND_URL.*unencrypted", backend)
    assert "bus.url" in bus
    assert "none.onnx is not a file" in wake
    assert caught.value.exit_status == 78


@pytest.mark.parametrize(
    ("options", "danger"),
    [
        (("--backend.url=http://10.0.0.1", "--backend.allow-plaintext"), "unencrypted"),
        (("--backend.delivery=at_least_once",), "may run twice"),
        (("--bus.url=ws://127.0.0.1:1",), "bus.key"),
        (("--bus.url=ws://127.0.0.1:1", "--bus.may-unmute"), "bus.may_unmute"),
        (("--bus.url=ws://127.0.0.1:1", "--bus.may-listen"), "bus.may_listen"),
        (("--bus.url=ws://127.0.0.1:1", "--rooms.group=home"), "backend.agent_id"),
        (("--log-transcripts",), "log.transcripts"),
        (("--hooks.url=http://10.0.0.7/x",), "hooks.url: http://10.0.0.7 learns unencrypted"),
        (("--hooks.idle=/none/led,off",), "hooks.idle: /none/led is not a program that can be run"),
    ],
)
def test_a_danger_is_a_warning(options, danger):
    *warnings, last = said(*options)
    number = f"{len(warnings)} warning{'s' if len(warnings) > 1 else ''}"
    assert last == f"the configuration is valid, with {number}"
    assert any(danger in line and line.startswith("warning: ") for line in warnings)
    assert "canary" not in " ".join(warnings)


def test_the_default_password_is_a_danger_unless_the_backend_is_ours():
    assert said() == ["the configuration is fine"]
    assert "still the public default" in check(load([], {}))
    assert "still the public default" not in check(load(["--with-backend"], {}))


@pytest.mark.parametrize("name", ["word.tflite", "word.onnx", "word.txt"])
def test_a_file_that_is_no_model_is_a_mistake_as_it_is_for_the_ear(tmp_path, name):
    model = tmp_path / name
    model.write_bytes(b"\x1c\0\0\0TFL3\n" * 20)
    with pytest.raises(ConfigError) as caught:
        said("--wake-model", str(model))
    (line,) = str(caught.value).splitlines()
    assert line.startswith("command line")
    assert f"hearing.wake.words: {model} is not a model" in line
    assert "expected .onnx" in line


@pytest.fixture
def room(monkeypatch):
    """Two sound cards, one of them a microphone."""
    cards = FakeSoundDevice(Card("USB: Audio (hw:1,0)"), Card("HDMI (hw:0,3)", inputs=0))
    monkeypatch.setattr(portaudio_process, "for_input", cards.library)


@pytest.mark.parametrize("name", ["plughw:1,0", "hw:1,0", "hw:1"])
def test_the_number_of_a_card_is_a_danger(room, name):
    warnings, last = said("--device", name)
    assert f"microphone.device = {name} names a card by its number" in warnings
    assert last == "the configuration is valid, with 1 warning"


@pytest.mark.parametrize("name", ["plughw:0,3", "hw:2", "rode"])
def test_a_missing_microphone_is_a_danger_unless_a_file_is_heard(room, name):
    *_, warnings, last = said("--device", name)
    assert warnings.startswith(f"warning: microphone.device: no input device matches '{name}'")
    assert last.startswith("the configuration is valid, with ")
    assert said("--device", name, "--input", "speech.wav") == ["the configuration is fine"]
