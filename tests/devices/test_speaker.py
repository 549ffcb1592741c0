import logging
import queue
import threading
import time

import numpy as np
import pytest

from fakes.clock import FakeClock
from fakes.output import FakeOutput
from jarvis_ear import config
from jarvis_ear.audio.resample import resample
from jarvis_ear.audio.wav import pcm_to_wav
from jarvis_ear.delivery.playback import Playback, Unheard
from jarvis_ear.devices import speaker as speaker_module
from jarvis_ear.devices.output import PortAudioOutput, make_output
from jarvis_ear.devices.playlist import MAX_CHUNKS, Chunk
from jarvis_ear.devices.speaker import REMEDY, Speaker
from jarvis_ear.errors import SpeakerLost

SOON_S = 10.0  # a deadline for things that happen at once
WAV = "audio/wav"


def noise(count: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).integers(-9000, 9000, count, dtype=np.int16)


def wav(pcm: np.ndarray, rate: int = 16_000) -> bytes:
    return pcm_to_wav(pcm.tobytes(), rate)


class Run:
    """A speaker, and what it tells."""

    def __init__(self, output, monotonic=time.monotonic, **options):
        self.output = output
        self.told = queue.Queue()
        self.speaker = Speaker(
            config.SpeakerOptions(**options),
            on_started=lambda turn: self.told.put(("started", turn)),
            on_ended=lambda turn: self.told.put(("ended", turn)),
            on_heard=self._hear,
            output=output,
            monotonic=monotonic,
        )
        self.heard = {}

    def _hear(self, turn_id, playback):
        self.heard[turn_id] = playback

    def next(self):
        return self.told.get(timeout=SOON_S)

    def say(self, turn_id: str, *pieces: bytes, content_type: str = WAV) -> None:
        for index, piece in enumerate(pieces):
            self.speaker.play(turn_id, index, content_type, piece)
        self.speaker.finish(turn_id)

    def ended(self, turn_id: str) -> list:
        """Everything that is told until this turn ends."""
        told = [self.next()]
        while told[-1] != ("ended", turn_id):
            told.append(self.next())
        return told


@pytest.fixture
def run():
    runs = []

    def start(output=None, **options) -> Run:
        is_wanted = options.get("device") != "none"
        runs.append(Run(output or (FakeOutput() if is_wanted else None), **options))
        runs[-1].speaker.start()
        return runs[-1]

    yield start
    for one in runs:
        assert one.speaker.close()


def test_a_reply_is_played_piece_by_piece(run):
    going = run()
    going.say("a", wav(noise(20_000)), wav(noise(500, 2)))
    assert going.ended("a") == [("started", "a"), ("ended", "a")]
    assert np.array_equal(going.output.played, np.concatenate([noise(20_000), noise(500, 2)]))
    assert (going.output.opened, going.output.closed) == (1, 1)


def test_replies_follow_each_other(run):
    going = run()
    going.say("a", wav(noise(100)))
    going.say("b", wav(noise(100, 2)))
    assert going.ended("b") == [(what, turn) for turn in "ab" for what in ("started", "ended")]
    assert len(going.output.played) == 200


@pytest.mark.parametrize("rate", [8000, 22_050, 44_100])
def test_any_rate_is_played_at_the_devices_rate(run, rate):
    going = run(FakeOutput(rate=48_000))
    going.say("a", wav(noise(rate), rate))
    going.ended("a")
    assert np.array_equal(going.output.played, resample(noise(rate), rate, 48_000))


def test_an_end_is_told_when_the_last_sound_was_heard(run):
    going = run()
    going.output.draining = True
    going.say("a", wav(noise(100)))
    assert going.next() == ("started", "a")
    assert going.output.took.wait(SOON_S)
    assert going.told.empty()
    going.output.draining = False
    assert going.next() == ("ended", "a")


def test_a_reply_starts_with_its_first_sound(run):
    going = run(FakeOutput(room=0))
    going.say("a", wav(noise(100)))
    assert going.output.starved.wait(SOON_S)
    assert going.told.empty()
    going.output.make_room(None)
    assert going.next() == ("started", "a")


def test_a_reply_without_a_chunk_ends(run):
    going = run()
    going.speaker.finish("a")
    assert going.next() == ("ended", "a")
    assert going.output.opened == 0


def test_stop_is_silence_and_the_reply_does_not_end(run):
    going = run(FakeOutput(room=1000))
    going.say("a", wav(noise(5000)), wav(noise(5000)))
    assert going.next() == ("started", "a")
    assert going.output.starved.wait(SOON_S)
    going.speaker.stop()
    going.speaker.play("a", 2, WAV, wav(noise(100)))
    going.speaker.finish("a")
    going.output.make_room(None)
    going.say("b", wav(noise(10, 2)))
    assert going.ended("b") == [("started", "b"), ("ended", "b")]
    assert np.array_equal(going.output.played[1000:], noise(10, 2))
    assert going.output.closed == 2


def test_stop_silences_what_is_only_draining(run):
    going = run()
    going.output.draining = True
    going.say("a", wav(noise(100)))
    assert going.next() == ("started", "a")
    going.speaker.stop()
    going.say("b")
    assert going.ended("b") == [("ended", "b")]


def test_stop_between_two_chunks_silences_the_buffer(run, monkeypatch):
    going = run()
    closed = threading.Event()
    real_close = going.output.close

    def close():
        real_close()
        closed.set()

    monkeypatch.setattr(going.output, "close", close)
    going.speaker.play("a", 0, WAV, wav(noise(100)))
    assert going.next() == ("started", "a")
    going.speaker.stop()
    assert closed.wait(SOON_S)
    assert going.told.empty()


def test_a_reply_that_pauses_gives_the_device_back_and_goes_on(run, monkeypatch):
    monkeypatch.setattr(speaker_module, "IDLE_S", 0.01)
    going = run()
    closed = threading.Event()
    real_close = going.output.close

    def close():
        real_close()
        closed.set()

    monkeypatch.setattr(going.output, "close", close)
    going.speaker.play("a", 0, WAV, wav(noise(100)))
    assert closed.wait(SOON_S)
    going.speaker.play("a", 1, WAV, wav(noise(100)))
    going.speaker.finish("a")
    assert going.ended("a") == [("started", "a"), ("ended", "a")]
    assert going.output.opened == 2


@pytest.mark.parametrize("audio", [b"", b"OggS", wav(noise(100))[:30], b"\xff" * 1000])
def test_a_chunk_that_is_no_wav_is_skipped(run, caplog, audio):
    going = run()
    going.say("a", audio, wav(noise(100)))
    assert going.ended("a") == [("started", "a"), ("ended", "a")]
    assert len(going.output.played) == 100
    assert going.speaker.skipped == 1
    assert "chunk 0 of the reply is left out: it " in caplog.text


def test_a_reply_of_which_nothing_can_be_played_ends(run):
    going = run()
    going.say("a", b"nonsense")
    assert going.ended("a") == [("ended", "a")]


def test_an_unknown_kind_of_sound_is_said_once_a_reply(run, caplog):
    caplog.set_level(logging.WARNING)
    going = run()
    going.say("a", *[b"OggS"] * 5, content_type="audio/ogg; codecs=opus")
    going.ended("a")
    assert caplog.messages == [
        "chunk 0 of the reply is left out: it is 'audio/ogg', and only WAV can be played"
    ]
    assert going.speaker.skipped == 5


@pytest.mark.parametrize("kind", ["", "audio/wav", "Audio/X-WAV", "audio/wave; codecs=1"])
def test_wav_has_many_names(run, kind):
    going = run()
    going.say("a", wav(noise(100)), content_type=kind)
    going.ended("a")
    assert len(going.output.played) == 100


def test_too_many_chunks_are_refused_and_said_once(run, caplog):
    going = run(FakeOutput(room=0))
    going.speaker.play("a", 0, WAV, wav(noise(10)))
    assert going.output.starved.wait(SOON_S)  # the first chunk has left the queue
    for index in range(1, MAX_CHUNKS + 4):
        going.speaker.play("a", index, WAV, wav(noise(10)))
    assert going.speaker.counters()["reply_pieces_refused"] == 3
    assert len([line for line in caplog.messages if "queue" in line]) == 1
    going.output.make_room(None)
    going.speaker.finish("a")
    going.ended("a")
    assert len(going.output.played) == (MAX_CHUNKS + 1) * 10


def test_a_speaker_that_is_lost_costs_this_reply_and_not_the_next(run, caplog):
    going = run()
    going.output.loss = SpeakerLost("box: unplugged")
    going.say("a", *[wav(noise(100))] * 3)
    assert going.ended("a") == [("ended", "a")]
    assert len([line for line in caplog.messages if "box: unplugged" in line]) == 1
    going.output.loss = None
    going.say("b", wav(noise(100)))
    assert going.ended("b") == [("started", "b"), ("ended", "b")]


def test_a_speaker_that_takes_nothing_is_given_up(run, monkeypatch, caplog):
    monkeypatch.setattr(speaker_module, "GIVE_UP_S", 0.01)
    going = run(FakeOutput(room=50))
    going.say("a", wav(noise(100)), wav(noise(100)))
    assert going.ended("a") == [("started", "a"), ("ended", "a")]
    assert "it took no sound for 0.01 s" in caplog.text
    assert len(going.output.played) == 50


def test_without_a_speaker_replies_start_and_end_in_silence(run, caplog):
    caplog.set_level(logging.INFO)
    going = run()
    going.output.refusal = SpeakerLost("no sound output device")
    for turn in "ab":
        going.say(turn, wav(noise(100)))
        assert going.ended(turn) == [("started", turn), ("ended", turn)]
    assert caplog.messages == [f"replies are not heard: no sound output device; {REMEDY}"]
    assert (going.speaker.problem, going.speaker.condition) == ("no sound output device",) * 2
    assert len(going.output.played) == 0


def test_a_speaker_that_comes_back_is_used(run):
    going = run()
    going.output.refusal = SpeakerLost("no sound output device")
    going.say("a", wav(noise(100)))
    going.ended("a")
    going.output.refusal = None
    going.say("b", wav(noise(100)))
    going.ended("b")
    assert len(going.output.played) == 100


def test_replies_are_kept_as_files_when_a_folder_is_named(run, tmp_path):
    going = run(device="none", output_dir=tmp_path)
    going.say("7f/3a", wav(noise(100)), b"nonsense", wav(noise(50)))
    going.ended("7f/3a")
    kept = sorted(path.name for path in tmp_path.iterdir())
    assert kept == ["7f_3a-000.wav", "7f_3a-002.wav"]
    assert (tmp_path / kept[1]).read_bytes() == wav(noise(50))


def test_what_a_lost_speaker_does_not_play_is_kept_all_the_same(run, tmp_path):
    going = run(output_dir=tmp_path)
    going.output.loss = SpeakerLost("gone")
    going.say("a", wav(noise(100)), wav(noise(100)))
    going.ended("a")
    assert len(list(tmp_path.iterdir())) == 2


def lost(reason, left_out, *, audible=False):
    return Playback(audible, left_out, reason)


def test_what_was_played_is_told(run):
    going = run()
    going.say("a", wav(noise(100)), wav(noise(50)))
    going.ended("a")
    assert going.heard == {"a": Playback()}


def test_a_format_that_cannot_be_decoded_is_told(run):
    going = run()
    going.say("a", b"ID3", content_type="audio/mpeg")
    going.say("b", wav(noise(100)), b"nonsense")
    assert ("started", "a") not in going.ended("b")
    assert going.heard == {
        "a": lost(Unheard.NOT_PLAYABLE, 1),
        "b": lost(Unheard.NOT_PLAYABLE, 1, audible=True),
    }


@pytest.mark.parametrize(
    ("device", "why"), [("none", Unheard.NO_SPEAKER), ("", Unheard.SPEAKER_UNAVAILABLE)]
)
def test_without_a_loudspeaker_nothing_is_heard(run, device, why):
    output = None if device else FakeOutput()
    if output is not None:
        output.refusal = SpeakerLost("no sound output device")
    going = run(output, device=device)
    going.speaker.play("a", 0, WAV, wav(noise(100)))
    assert going.next() == ("started", "a")
    assert going.heard == {"a": lost(why, 1)}  # known before the person interrupts it
    going.speaker.play("a", 1, WAV, wav(noise(100)))
    going.speaker.finish("a")
    going.ended("a")
    assert going.heard == {"a": lost(why, 2)}


def test_a_loudspeaker_that_vanishes_is_told(run):
    going = run(FakeOutput(room=100))
    for index in range(3):
        going.speaker.play("a", index, WAV, wav(noise(100)))
    assert going.output.starved.wait(SOON_S)
    going.output.loss = SpeakerLost("box: unplugged")
    going.speaker.finish("a")
    going.ended("a")
    assert going.heard == {"a": lost(Unheard.SPEAKER_LOST, 2, audible=True)}
    assert going.speaker.problem == "box: unplugged"


def test_what_found_no_room_is_told(run):
    going = run(FakeOutput(room=0))
    going.speaker.play("a", 0, WAV, wav(noise(10)))
    assert going.output.starved.wait(SOON_S)
    for index in range(1, MAX_CHUNKS + 4):
        going.speaker.play("a", index, WAV, wav(noise(10)))
    going.output.make_room(None)
    going.speaker.finish("a")
    going.ended("a")
    going.say("b", wav(noise(10)))
    going.ended("b")
    assert going.heard["a"] == lost(Unheard.QUEUE_FULL, 3, audible=True)
    assert going.heard["b"] == Playback()


def test_a_loudspeaker_that_is_not_there_is_told_at_the_start(run, caplog):
    output = FakeOutput()
    output.missing = "no output device matches 'USB'"
    going = run(output, device="USB")
    going.say("a", wav(noise(10)))  # whatever is played comes after the look
    going.ended("a")
    assert caplog.messages[0] == f"replies are not heard: no output device matches 'USB'; {REMEDY}"
    assert caplog.records[0].levelno == logging.WARNING
    assert vars(caplog.records[0])["EVENT"] == "SpeakerLost"


def test_a_loudspeaker_that_is_not_there_is_looked_for_again(run, monkeypatch, caplog):
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(speaker_module, "IDLE_S", 0.001)
    clock, output, looks = FakeClock(), FakeOutput(), queue.Queue()
    output.missing = "no sound output device"

    def check():
        looks.put(clock.now)
        return output.missing

    output.check = check
    going = run(output, monotonic=clock.monotonic)
    began_at = looks.get(timeout=SOON_S)
    clock.now += speaker_module.CHECK_AGAIN_S
    assert looks.get(timeout=SOON_S) == began_at + speaker_module.CHECK_AGAIN_S
    output.missing = ""
    clock.now += speaker_module.CHECK_AGAIN_S
    looks.get(timeout=SOON_S)
    going.say("a", wav(noise(10)))
    going.ended("a")
    assert caplog.messages[1:] == ["the loudspeaker is there again"]
    assert going.speaker.condition == "fine"
    assert looks.empty()  # a loudspeaker that is there is not looked for


def test_another_loudspeaker_is_looked_for_after_a_reload(run, monkeypatch):
    monkeypatch.setattr(speaker_module, "IDLE_S", 0.001)
    there, looked = FakeOutput(), threading.Event()
    there.check = lambda: looked.set() or "gone"
    monkeypatch.setattr(speaker_module, "make_output", lambda _: there)
    going = run()
    going.speaker.change(config.SpeakerOptions(device="USB"))
    assert looked.wait(SOON_S)


def test_who_wants_no_loudspeaker_any_more_is_told_of_none(run, monkeypatch, caplog):
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(speaker_module, "IDLE_S", 0.001)
    going = run()
    going.output.refusal = SpeakerLost("no sound output device")
    going.say("a", wav(noise(10)))
    going.ended("a")
    going.speaker.change(config.SpeakerOptions(device="none"))
    going.say("b", wav(noise(10)))
    going.ended("b")
    assert going.heard["b"].reason is Unheard.NO_SPEAKER
    assert going.speaker.condition == "none is configured"
    assert "the loudspeaker is there again" not in caplog.messages


def test_who_wants_no_loudspeaker_lacks_none(run):
    going = run(device="none")
    going.say("a", wav(noise(10)))
    going.ended("a")
    assert (going.speaker.problem, going.speaker.condition) == ("", "none is configured")


def test_close_ends_a_reply_that_hangs_and_leaves_no_thread(run):
    going = run(FakeOutput(room=0))
    going.say("a", wav(noise(100)))
    assert going.output.starved.wait(SOON_S)
    assert going.speaker.close()
    assert "speaker" not in [thread.name for thread in threading.enumerate()]
    assert going.output.closed == 1
    going.say("b", wav(noise(100)))
    assert going.told.empty()


def test_it_is_a_context():
    going = Run(FakeOutput())
    with going.speaker:
        going.say("a", wav(noise(100)))
        going.ended("a")
    assert "speaker" not in [thread.name for thread in threading.enumerate()]


def test_closing_what_never_started():
    assert Run(FakeOutput()).speaker.close()


def test_the_output_is_chosen_by_the_options():
    assert make_output(config.SpeakerOptions(device="none")) is None
    assert isinstance(make_output(config.SpeakerOptions()), PortAudioOutput)
    assert Speaker(config.SpeakerOptions(), on_started=print, on_ended=print).close()


def test_other_options_count_from_the_next_reply_on(run, monkeypatch, tmp_path):
    other = FakeOutput()
    monkeypatch.setattr("jarvis_ear.devices.speaker.make_output", lambda _options: other)
    going = run()
    going.say("a", wav(noise(500)))
    going.ended("a")
    going.speaker.change(config.SpeakerOptions(device="other", output_dir=tmp_path))
    going.say("b", wav(noise(700)))
    going.ended("b")
    assert (going.output.opened, other.opened) == (1, 1)
    assert np.array_equal(other.played, noise(700))
    assert [file.name for file in tmp_path.iterdir()] == ["b-000.wav"]


CHUNK = Chunk("a", 0, WAV, wav(noise(100)))


def test_a_chunk_that_was_stopped_on_its_way_to_the_player_is_not_played():
    going = Run(FakeOutput())
    going.speaker._playlist.add(CHUNK)
    taken = going.speaker._playlist.take(0)
    going.speaker.stop()
    going.speaker._play(taken)
    going.speaker._finish("a")
    assert going.output.opened == 0
    assert going.told.empty()


def test_a_stop_while_the_first_sound_is_told_silences_the_rest():
    going = Run(FakeOutput())
    going.speaker._playlist.add(CHUNK)
    taken = going.speaker._playlist.take(0)
    going.speaker._on_started = lambda _: going.speaker.stop()
    going.speaker._play(taken)
    going.speaker._finish("a")
    assert going.output.closed == 1
    assert going.told.empty()


def test_silence_twice_closes_once():
    going = Run(FakeOutput())
    going.speaker._play(CHUNK)
    going.speaker._silence()
    going.speaker._silence()
    assert going.output.closed == 1
    assert going.told.get() == ("started", "a")
