"""The examples do what they say, against the reference backend with real speech."""

import os
import re
import socket
import struct
import subprocess
import sys
import wave
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import requests

from fakes.light import a_light
from fakes.program import run as run_program
from fakes.told import Told
from jarvis_ear.backend import BackendClient
from jarvis_ear.config import BackendOptions
from jarvis_ear.delivery.events import ReplyAudio, Verdict
from jarvis_ear.hooks.event import HookEvent

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
RECORDING = ROOT / "tests" / "data" / "what-time-is-it.wav"
CALLED = ROOT / "tests" / "data" / "hey-jarvis-what-time-is-it.wav"

CLIENTS = {"voice_socketio": "http", "voice_ws": "ws", "session_stream": "http", "realtime": "http"}
"""What sends a WAV file, and how its address begins."""


def run(name, *arguments, folder=ROOT):
    return run_program(
        [sys.executable, ROOT / "examples" / f"{name}.py", *arguments],
        check=False,
        env=os.environ,
        cwd=folder,
        timeout=60,
    )


@pytest.fixture(scope="module")
def spoken(real_backend, tmp_path_factory):
    """Every client at once, each in a folder of its own."""
    folders = {name: tmp_path_factory.mktemp(name) for name in CLIENTS}

    def speak(name):
        url = real_backend.replace("http", CLIENTS[name], 1)
        return run(name, str(RECORDING), "--url", url, folder=folders[name])

    with ThreadPoolExecutor() as pool:
        done = dict(zip(CLIENTS, pool.map(speak, CLIENTS), strict=True))
    return {name: (done[name], folders[name]) for name in CLIENTS}


@pytest.mark.long  # hears the answers as long as they are
@pytest.mark.parametrize("name", CLIENTS)
def test_a_client_is_understood_and_gets_an_audible_answer(spoken, name):
    done, folder = spoken[name]
    assert done.returncode == 0, done.stderr
    assert "what time is it" in done.stdout
    replies = sorted(folder.glob("reply*.wav"))
    assert replies
    for reply in replies:
        with wave.open(str(reply)) as file:
            sound = np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(float)
            assert len(sound) > file.getframerate() / 2
        assert np.sqrt(np.mean(sound**2)) > 100


@pytest.mark.long  # with the others
def test_the_bus_is_watched_and_switched(real_backend):
    url = real_backend.replace("http", "ws", 1) + "/ws"
    done = run("event_bus", "--url", url, "--off", "vision", "--tell", "lunch", "--seconds", "0.3")
    assert done.returncode == 0, done.stderr
    assert "module_status_changed {'module': 'vision', 'enabled': False}" in done.stdout
    assert "lunch {'from': 'example'}" in done.stdout
    assert "pong" in done.stdout


@pytest.mark.long  # loads the models
def test_a_recording_is_replayed_and_its_level_is_shown():
    done = run("replay_wav", str(CALLED))
    assert done.returncode == 0, done.stderr
    assert re.search(r"idle -> listening +WakeDetected", done.stdout)
    assert "of sound would be sent" in done.stdout
    done = run("level_meter", str(RECORDING))
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 12
    assert "####" in done.stdout


@pytest.mark.long  # recognises and speaks
def test_the_library_sends_a_file_and_hears_a_source_of_its_own(real_backend, tmp_path):
    done = run("library_send", str(RECORDING), "--url", real_backend, folder=tmp_path)
    assert (done.returncode, done.stdout) == (0, "understood: what time is it\nverdict: done \n")
    assert (tmp_path / "reply-0.wav").read_bytes().startswith(b"RIFF")
    with wave.open(str(CALLED)) as file:
        raw = file.readframes(file.getnframes())
    heard = subprocess.run(
        [sys.executable, ROOT / "examples" / "library_source.py", "--url", real_backend],
        input=raw,
        capture_output=True,
        check=True,
        timeout=60,
    )
    length, words, verdict = heard.stdout.decode().splitlines()
    assert re.fullmatch(r"heard 1\.\d s after the wake word", length)
    assert (words, verdict) == ("understood: what time is it", "verdict: done")


@pytest.mark.long  # the ear sends an utterance, and hears it again
def test_the_minimal_backend_serves_the_ear():
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    backend = subprocess.Popen(
        [sys.executable, ROOT / "examples" / "minimal_backend.py", "--port", str(port)],
        stdout=subprocess.DEVNULL,
    )
    told = Told()
    try:
        config = BackendOptions(url=f"http://127.0.0.1:{port}")
        with BackendClient(config, on_event=told) as client, wave.open(str(RECORDING)) as file:
            turn = client.send_audio(file.readframes(file.getnframes()))
            assert told.end_of(turn, within_s=20).verdict is Verdict.DONE
        (reply,) = told.all(ReplyAudio)
        assert reply.audio == RECORDING.read_bytes()
        wrong = requests.post(
            f"{config.url}/api/auth/login", json={"password": "wrong"}, timeout=10
        )
        assert wrong.status_code == 401
    finally:
        backend.terminate()
        backend.wait(10)


def hook(name, *arguments, event="idle", path=""):
    """Run an example as the ear runs a hook."""
    done = subprocess.run(
        [sys.executable, ROOT / "examples" / f"{name}.py", *arguments],
        input=HookEvent(event, 0.0, "kitchen").body(),
        capture_output=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(path)},
        timeout=60,
    )
    return done.returncode, done.stderr.decode()


@pytest.mark.parametrize(
    ("event", "state"),
    [
        ("listening", {"on": True, "seg": [{"col": [[0, 60, 255]]}]}),
        ("idle", {"on": False}),
        ("wake", {"on": False}),
    ],
)
def test_a_light_shows_the_state_of_the_ear(event, state):
    with a_light() as light:
        assert hook("http_light", light.url, event=event) == (0, "")
        assert (light.paths, light.bodies) == (["/json/state"], [state])


def test_a_light_that_is_not_there_is_one_line():
    status, said = hook("http_light", "http://127.0.0.1:9")
    assert (status, said.count("\n")) == (1, 1)
    assert said.startswith("the light does not answer: ")
    assert hook("http_light", "file:///etc/passwd")[0] == 2


def test_an_led_of_the_kernel_is_switched(tmp_path):
    led = tmp_path / "jarvis" / "brightness"
    led.parent.mkdir()
    led.touch()
    for to, brightness in (("on", "1"), ("off", "0")):
        assert hook("gpio_led", to, "--leds", tmp_path) == (0, "")
        assert led.read_text() == brightness
    led.unlink()
    led.mkdir()
    status, said = hook("gpio_led", "on", "--leds", tmp_path)
    assert (status, said.count("\n")) == (1, 1)
    assert said.startswith("the LED cannot be switched: ")


def test_without_an_led_there_is_one_line_that_says_what_was_looked_for(tmp_path):
    status, said = hook("gpio_led", "on", "--line", "17", "--chip", "/none", "--leds", tmp_path)
    assert (status, said.count("\n")) == (1, 1)
    assert said.startswith("no LED: neither /none with --line and python3-libgpiod, nor /")


GPIOD_2 = """
import enum, pathlib, types
line = types.SimpleNamespace(
    Direction=enum.Enum("Direction", {"OUTPUT": 3}),
    Value=enum.Enum("Value", {"INACTIVE": 0, "ACTIVE": 1}),
)
LineSettings = dict
def request_lines(path, *, consumer, config):
    [(number, settings)] = config.items()
    assert settings["direction"] is line.Direction.OUTPUT
    pathlib.Path(path).write_text(f"{number} {settings['output_value'].value}")
    return types.SimpleNamespace(release=lambda: None)
"""
"""What the example uses of the bindings of libgpiod 2, and of those of 1.6 below."""

GPIOD_1 = """
import pathlib, types
LINE_REQ_DIR_OUT = 3
class Chip:
    def __init__(self, path):
        self.path = pathlib.Path(path)
    def get_line(self, number):
        def request(*, consumer, type):
            assert type == LINE_REQ_DIR_OUT
        put = lambda value: self.path.write_text(f"{number} {value}")
        return types.SimpleNamespace(request=request, set_value=put)
"""


@pytest.mark.parametrize("library", [GPIOD_1, GPIOD_2], ids=["libgpiod 1", "libgpiod 2"])
def test_an_led_on_a_gpio_line_is_switched(library, tmp_path):
    (tmp_path / "gpiod.py").write_text(library)
    chip = tmp_path / "gpiochip0"
    chip.touch()
    for to, written in (("on", "17 1"), ("off", "17 0")):
        assert hook("gpio_led", to, "--line", "17", "--chip", chip, path=tmp_path) == (0, "")
        assert chip.read_text() == written


USB = """
import pathlib, sys, types
core = types.ModuleType("usb.core")
def find(*, idVendor, idProduct):
    assert (idVendor, idProduct) == (0x2886, 0x0018)
    written = pathlib.Path(__file__).with_name("written")
    if written.is_dir():
        return None
    return types.SimpleNamespace(ctrl_transfer=lambda *words: written.write_text(repr(words)))
core.find = find
sys.modules["usb.core"] = core
"""
"""What the example uses of PyUSB."""


def test_the_ring_of_a_microphone_shows_the_state(tmp_path):
    (tmp_path / "usb.py").write_text(USB)
    written = tmp_path / "written"
    for event, command, data in (("thinking", 3, [0]), ("muted", 1, [40, 0, 0, 0])):
        assert hook("respeaker_ring", event=event, path=tmp_path) == (0, "")
        assert written.read_text() == repr((0x40, 0, command, 0x1C, data, 2000))
    assert hook("respeaker_ring", event="wake", path=tmp_path) == (0, "")
    written.unlink()
    written.mkdir()
    gone = (1, "no ReSpeaker USB Mic Array is plugged in\n")
    assert hook("respeaker_ring", event="idle", path=tmp_path) == gone


@pytest.mark.parametrize(
    ("events", "verbs"),
    [
        ([(0, 1, 148, 1), (0.2, 1, 148, 0), (1, 0, 0, 0)], "listen\n"),
        ([(0, 1, 148, 1), (0.5, 1, 148, 2), (1.5, 1, 148, 0)], "toggle\n"),
        ([(0, 1, 30, 1), (0.2, 1, 30, 0), (0, 2, 148, 1), (1, 1, 148, 0)], ""),
    ],
    ids=["pressed", "held", "another key"],
)
def test_a_button_makes_the_ear_listen_or_mutes_it(events, verbs, tmp_path):
    ear, device = tmp_path / "jarvis-ear", tmp_path / "device"
    ear.write_text(f'#!/bin/sh\necho "$1" >> {tmp_path}/verbs\n')
    ear.chmod(0o755)
    (tmp_path / "verbs").touch()
    packed = (struct.pack("@llHHi", int(s), int(s % 1 * 1e6), *rest) for s, *rest in events)
    device.write_bytes(b"".join(packed))
    done = run_program(
        [sys.executable, ROOT / "examples" / "button.py", device, "--key", "148"],
        check=False,
        env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"},
    )
    assert (done.returncode, done.stderr) == (1, f"{device} is gone\n")
    assert (tmp_path / "verbs").read_text() == verbs


def test_every_example_is_short():
    assert [one.stem for one in EXAMPLES if len(one.read_text().splitlines()) > 60] == []


@pytest.mark.long  # half a second for each
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.stem)
def test_an_example_has_help(example):
    done = run(example.stem, "--help")
    assert done.returncode == 0
    assert done.stdout.startswith("usage: ")
