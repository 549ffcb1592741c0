"""A replay hears what the running ear hears: the same scores, the same events."""

import json
import os
import subprocess
import sys
import threading

import numpy as np
import pytest
import soundfile

from fakes.clock import FakeClock
from fakes.portaudio import Card, FakeSoundDevice, Holding
from fakes.recordings import in_room, recording
from jarvis_ear import config
from jarvis_ear.devices.capture import Capture
from jarvis_ear.devices.microphone import Microphone
from jarvis_ear.devices.models import EarFactory
from jarvis_ear.devices.sources import BLOCK_MS, EndOfSound, WavFile
from jarvis_ear.errors import InputError
from jarvis_ear.hearing.ear_thread import EarThread
from jarvis_ear.hearing.events import (
    NearMiss,
    ReplyEnded,
    SendUtterance,
    SpeechRefused,
    State,
    StateChanged,
    SupersedeTurn,
    TurnDropped,
    TurnOpened,
)
from jarvis_ear.hearing.inbox import Inbox
from jarvis_ear.replay.recordings import of_file
from jarvis_ear.replay.replayer import Replayer
from jarvis_ear.units import samples

HEARING = config.HearingOptions(follow_up_ms=1000)
RATE = 48_000
BLOCK = samples(BLOCK_MS)
"""The running ear takes a reply between two blocks."""

SHOWN = {
    TurnOpened: ("wake", "listen"),
    NearMiss: ("near_miss",),
    StateChanged: ("state",),
    SendUtterance: ("utterance",),
    SpeechRefused: ("refused",),
    TurnDropped: ("dropped",),
    SupersedeTurn: ("superseded",),
}


@pytest.fixture(scope="module")
def sound():
    """A command that goes on after its end, the wake word in noise, and the wake word alone."""
    question = recording("what-time-is-it")
    return np.concatenate(
        [
            in_room(1000, recording("hey-jarvis"), 300, question, 900, question, 4000),
            in_room(2000, recording("hey-jarvis"), 1500, floor_rms=4000),
            in_room(2000, recording("hey-jarvis"), 7000),
        ]
    )


@pytest.fixture(scope="module")
def stereo(sound, tmp_path_factory):
    """The same from a better microphone: 48 kHz, two channels."""
    path = tmp_path_factory.mktemp("sound") / "stereo.wav"
    soundfile.write(path, np.repeat(sound, 6).reshape(-1, 2), RATE, subtype="PCM_16")
    return path


@pytest.fixture(scope="module")
def trace(stereo):
    return Replayer(HEARING).hear(of_file(stereo, None), HEARING)


class AnsweringInbox(Inbox):
    """Answers an utterance when the ear, which hears a file, waits for its reply."""

    sent = ""

    def get(self, wait_s, *, audio=True):
        if not audio and self.sent:
            turn_id, self.sent = self.sent, ""
            return ReplyEnded(turn_id)
        return super().get(wait_s, audio=audio)


class MicrophoneUntilEnd(Microphone):
    """A card at 48 kHz that is unplugged in good order when the recording is over."""

    live = False  # its sound waits for the reader, as in a fast file

    def __init__(self, pcm):
        self._card = Card("usb", inputs=1, rate=RATE, rates=(RATE,))
        self._left, self._time = pcm, FakeClock()
        library = Holding(FakeSoundDevice(self._card).library(sleep=self._pass))
        options = config.MicrophoneOptions(channel="0")
        super().__init__(options, library=library, monotonic=self._time.monotonic)

    def _pass(self, seconds):
        self._time.sleep(seconds)
        count = round(seconds * RATE)
        self._card.heard += self._left[:count].astype("<i2").tobytes()
        self._left = self._left[count:]

    def read(self):
        if not len(self._left) and not self._card.heard:
            raise EndOfSound
        return super().read()


def hear_live(source):
    """Return what capture thread, inbox and ear thread make of a source: effects and scores."""
    inbox, effects, scores = AnsweringInbox(), [], []
    over = threading.Event()
    failures = []

    def deliver(effect):
        effects.append(effect)
        if isinstance(effect, SendUtterance):
            inbox.sent = effect.turn_id

    def fail(error):
        failures.append(error)
        over.set()

    ear = EarFactory().make(HEARING)
    thread = EarThread(
        ear,
        inbox,
        deliver,
        waits_for_replies=True,
        on_frame=lambda _frame: scores.extend((each.at, each.score) for each in ear.judged),
        on_finished=over.set,
        on_failure=fail,
    )
    capture = Capture(source, inbox, on_end=lambda _error: thread.sound_ended())
    with thread:
        capture.start()
        assert over.wait(60)
        capture.stop()
    assert not failures
    return effects, scores


def is_shown(effect):
    return type(effect) in SHOWN


def assert_same(trace, live):
    effects, scores = live
    assert [step.at for step in trace.steps] == [at for at, _ in scores]
    assert [step.score for step in trace.steps] == pytest.approx([s for _, s in scores], abs=1e-6)
    shown = list(filter(is_shown, effects))
    assert len(shown) == len(trace.events)
    for event, effect in zip(trace.events, shown, strict=True):
        assert event.event in SHOWN[type(effect)]
        match effect:
            case TurnOpened(at=at, score=float(score)):
                assert event.at == at
                assert event.fields["score"] == pytest.approx(score, abs=1e-6)
                assert event.fields["verifier"] == pytest.approx(effect.verifier, abs=1e-6)
            case NearMiss(at, score):
                assert event.at == at
                assert event.fields["score"] == pytest.approx(score, abs=1e-6)
            case SendUtterance(utterance=utterance):
                assert event.at == utterance.speech_end
                assert event.heard_at == utterance.end
                assert event.fields["ended_by"] == utterance.reason
            case StateChanged(at=at):
                assert (event.fields["from"], event.fields["to"]) == (effect.old, effect.new)
                is_answer = effect.old in (State.THINKING, State.FOLLOW_UP)
                assert 0 <= at - event.heard_at <= is_answer * BLOCK


def test_a_replay_has_the_scores_and_events_of_run_input(trace, stereo):
    assert_same(trace, hear_live(WavFile(stereo, fast=True)))
    found = {event.event for event in trace.events}
    assert found == {"wake", "listen", "near_miss", "state", "utterance", "dropped", "superseded"}


def test_a_replay_has_the_scores_and_events_of_a_live_microphone(sound, tmp_path):
    pcm = np.repeat(sound, 3)
    soundfile.write(tmp_path / "mono.flac", pcm, RATE)
    trace = Replayer(HEARING).hear(of_file(tmp_path / "mono.flac", None), HEARING)
    assert_same(trace, hear_live(MicrophoneUntilEnd(pcm)))


def test_a_replay_says_what_the_whole_program_logs(stereo, tmp_path):
    """The journal rounds its scores to three digits."""
    own = {"HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path), "TMPDIR": str(tmp_path)}
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(sys.path), **own}
    options = ("--hearing.follow-up-ms", "1000")
    python = (sys.executable, "-m", "jarvis_ear")
    ear = subprocess.run(
        [
            *(*python, "run", "--input", str(stereo), "--fast", "--speaker.device", "none"),
            *("--with-backend", "--log-format", "json", "--log.level", "debug", *options),
        ],
        env=environment,
        capture_output=True,
        check=False,
        text=True,
        timeout=120,
    )
    assert "Traceback" not in ear.stderr
    records = [json.loads(line) for line in ear.stderr.splitlines() if line.startswith("{")]
    logged = [
        (line["WAKE_SCORE"], line["WAKE_VERIFIER"])
        for line in records
        if line.get("STATE") == "listening" and "WAKE_SCORE" in line
    ]
    near = [line["WAKE_SCORE"] for line in records if line.get("EVENT") == "NearMiss"]
    replay = subprocess.run(
        [*python, "replay", str(stereo), "--json", *options],
        env=environment,
        capture_output=True,
        check=True,
        timeout=60,
    )
    [found] = json.loads(replay.stdout)["recordings"]
    wakes = [each for each in found["events"] if each["event"] == "wake"]
    assert logged == [(round(each["score"], 3), round(each["verifier"], 3)) for each in wakes]
    assert near == [
        round(each["score"], 3) for each in found["events"] if each["event"] == "near_miss"
    ]


def test_a_file_that_is_no_sound_is_named(tmp_path):
    text = tmp_path / "notes.txt"
    text.write_text("no sound at all")
    with pytest.raises(InputError, match=r"notes\.txt.* cannot be decoded"):
        list(of_file(text, None).blocks())
    with pytest.raises(InputError, match=r"gone\.wav.* cannot be read: No such file"):
        list(of_file(tmp_path / "gone.wav", None).blocks())
    soundfile.write(tmp_path / "empty.ogg", np.zeros(0, np.int16), RATE)
    with pytest.raises(InputError, match="holds no sound"):
        list(of_file(tmp_path / "empty.ogg", None).blocks())
