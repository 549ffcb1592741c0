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
NO_DEVICE = "no sound output device"


def noise(count: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).integers(-9000, 9000, count, dtype=np.int16)


def wav(pcm: np.ndarray, rate: int = 16_000) -> bytes:
    return pcm_to_wav(pcm.tobytes(), rate)


SOUND = wav(noise(100))


def whole(*turns: str) -> list[tuple[str, str]]:
    """The events of replies that start and end."""
    return [(what, turn) for turn in turns for what in ("started", "ended")]


class Run:
    """A speaker, and its events in their order."""

    def __init__(self, output, monotonic=time.monotonic, **options):
        self.output = output
        self.events = queue.Queue()
        self.heard = {}
        self.speaker = Speaker(
            config.SpeakerOptions(**options),
            on_started=lambda turn: self.events.put(("started", turn)),
            on_ended=lambda turn: self.events.put(("ended", turn)),
            on_heard=self.heard.__setitem__,
            output=output,
            monotonic=monotonic,
        )

    def next(self):
        return self.events.get(timeout=SOON_S)

    def began(self) -> bool:
        """Whether the next event is the start of turn "a"."""
        return self.next() == ("started", "a")

    def say(self, turn_id: str, *pieces: bytes, content_type: str = WAV) -> None:
        for index, piece in enumerate(pieces):
            self.speaker.play(turn_id, index, content_type, piece)
        self.speaker.finish(turn_id)

    def ended(self, turn_id: str) -> list:
        """Every event until this turn ends."""
        events = [self.next()]
        while events[-1] != ("ended", turn_id):
            events.append(self.next())
        return events

    def say_all(self, turn_id: str, *pieces: bytes, content_type: str = WAV) -> list:
        """Play a reply; its events until it ends."""
        self.say(turn_id, *pieces, content_type=content_type)
        return self.ended(turn_id)

    def play(self, turn_id: str, *indexes: int, size: int = 100) -> None:
        """Play such chunks of a reply that goes on."""
        for index in indexes:
            self.speaker.play(turn_id, index, WAV, wav(noise(size)))

    def finish(self, turn_id: str) -> list:
        self.speaker.finish(turn_id)
        return self.ended(turn_id)


@pytest.fixture
def run():
    runs = []

    def start(
        rate: int = 16_000, *, room: int | None = None, monotonic=time.monotonic, **options
    ) -> Run:
        output = None if options.get("device") == "none" else FakeOutput(rate, room=room)
        for name in {"refusal", "missing", "loss", "draining", "check"} & options.keys():
            setattr(output, name, options.pop(name))
        runs.append(Run(output, monotonic, **options))
        runs[-1].speaker.start()
        return runs[-1]

    yield start
    for one in runs:
        assert one.speaker.close()


@pytest.fixture
def short_idle(monkeypatch):
    monkeypatch.setattr(speaker_module, "IDLE_S", 0.001)


def lost(reason, left_out, *, audible=False):
    return Playback(audible, left_out, reason)


def test_a_reply_is_played_piece_by_piece(run):
    going = run()
    assert going.say_all("a", wav(noise(20_000)), wav(noise(500, 2))) == whole("a")
    assert np.array_equal(going.output.played, np.concatenate([noise(20_000), noise(500, 2)]))
    assert (going.output.opened, going.output.closed) == (1, 1)
    assert going.heard == {"a": Playback()}


def test_replies_follow_each_other(run):
    going = run()
    going.say("a", SOUND)
    assert going.say_all("b", wav(noise(100, 2))) == whole("a", "b")
    assert len(going.output.played) == 200


@pytest.mark.parametrize("rate", [8000, 22_050, 44_100])
def test_any_rate_is_played_at_the_devices_rate(run, rate):
    going = run(48_000)
    going.say_all("a", wav(noise(rate), rate))
    assert np.array_equal(going.output.played, resample(noise(rate), rate, 48_000))


def test_a_reply_starts_with_its_first_and_ends_after_its_last_sound(run):
    going = run(room=0, draining=True)
    going.say("a", SOUND)
    assert going.output.starved.wait(SOON_S)
    assert going.events.empty()
    going.output.make_room(None)
    assert going.began()
    assert going.output.took.wait(SOON_S)
    assert going.events.empty()
    going.output.draining = False
    assert going.next() == ("ended", "a")


def test_a_reply_without_a_chunk_ends(run):
    going = run()
    assert going.finish("a") == [("ended", "a")]
    assert going.output.opened == 0


def test_a_stop_silences_a_reply_and_it_does_not_end(run):
    going = run(room=1000)
    going.say("a", wav(noise(5000)), wav(noise(5000)))
    assert going.began()
    assert going.output.starved.wait(SOON_S)
    going.speaker.stop()
    going.play("a", 2)
    going.speaker.finish("a")
    going.output.make_room(None)
    assert going.say_all("b", wav(noise(10, 2))) == whole("b")
    assert np.array_equal(going.output.played[1000:], noise(10, 2))
    assert going.output.closed == 2


def test_a_stop_silences_a_reply_that_is_only_draining(run):
    going = run(draining=True)
    going.say("a", SOUND)
    assert going.began()
    going.speaker.stop()
    assert going.say_all("b") == [("ended", "b")]


@pytest.fixture
def closed(monkeypatch):
    """An event that is set when a device was closed."""
    event, close = threading.Event(), FakeOutput.close
    monkeypatch.setattr(FakeOutput, "close", lambda output: (close(output), event.set()))
    return event


def test_a_stop_between_two_chunks_silences_the_buffer(run, closed):
    going = run()
    going.play("a", 0)
    assert going.began()
    going.speaker.stop()
    assert closed.wait(SOON_S)
    assert going.events.empty()


def test_a_reply_that_pauses_closes_the_device_and_goes_on(run, closed, monkeypatch):
    monkeypatch.setattr(speaker_module, "IDLE_S", 0.01)
    going = run()
    going.play("a", 0)
    assert closed.wait(SOON_S)
    going.play("a", 1)
    assert going.finish("a") == whole("a")
    assert going.output.opened == 2


@pytest.mark.parametrize("audio", [b"", b"OggS", SOUND[:30], b"\xff" * 1000])
def test_a_chunk_that_is_no_wav_is_skipped(run, caplog, audio):
    going = run()
    assert going.say_all("a", audio, SOUND) == whole("a")
    assert len(going.output.played) == 100
    assert going.speaker.skipped == 1
    assert "chunk 0 of the reply is left out: it " in caplog.text
    assert going.heard == {"a": lost(Unheard.NOT_PLAYABLE, 1, audible=True)}
    assert going.say_all("b", audio) == [("ended", "b")]


def test_an_unknown_kind_of_sound_is_logged_once_a_reply(run, log):
    going = run()
    events = going.say_all("a", *[b"OggS"] * 5, content_type="audio/ogg; codecs=opus")
    assert events == [("ended", "a")]
    assert log.messages == [
        "chunk 0 of the reply is left out: it is 'audio/ogg', and only WAV can be played"
    ]
    assert going.speaker.skipped == 5
    assert going.heard == {"a": lost(Unheard.NOT_PLAYABLE, 5)}


@pytest.mark.parametrize("kind", ["", "audio/wav", "Audio/X-WAV", "audio/wave; codecs=1"])
def test_wav_has_many_names(run, kind):
    going = run()
    going.say_all("a", SOUND, content_type=kind)
    assert len(going.output.played) == 100


def test_too_many_chunks_are_refused_and_logged_once(run, caplog):
    going = run(room=0)
    going.play("a", 0, size=10)
    assert going.output.starved.wait(SOON_S)  # the first chunk has left the queue
    going.play("a", *range(1, MAX_CHUNKS + 4), size=10)
    assert going.speaker.counters()["reply_pieces_refused"] == 3
    assert len([line for line in caplog.messages if "queue" in line]) == 1
    going.output.make_room(None)
    going.finish("a")
    assert len(going.output.played) == (MAX_CHUNKS + 1) * 10
    going.say_all("b", wav(noise(10)))
    assert going.heard["a"] == lost(Unheard.QUEUE_FULL, 3, audible=True)
    assert going.heard["b"] == Playback()


def test_a_speaker_that_is_lost_costs_this_reply_and_not_the_next(run, caplog):
    going = run(loss=SpeakerLost("box: unplugged"))
    assert going.say_all("a", *[SOUND] * 3) == [("ended", "a")]
    assert len([line for line in caplog.messages if "box: unplugged" in line]) == 1
    going.output.loss = None
    assert going.say_all("b", SOUND) == whole("b")


def test_a_speaker_that_takes_nothing_is_given_up(run, monkeypatch, caplog):
    monkeypatch.setattr(speaker_module, "GIVE_UP_S", 0.01)
    going = run(room=50)
    assert going.say_all("a", SOUND, SOUND) == whole("a")
    assert "it took no sound for 0.01 s" in caplog.text
    assert len(going.output.played) == 50


def test_without_a_speaker_replies_start_and_end_in_silence(run, log):
    going = run(refusal=SpeakerLost(NO_DEVICE))
    for turn in "ab":
        assert going.say_all(turn, SOUND) == whole(turn)
    assert log.messages == [f"replies are not heard: {NO_DEVICE}; {REMEDY}"]
    assert (going.speaker.problem, going.speaker.condition) == (NO_DEVICE,) * 2
    assert len(going.output.played) == 0


def test_a_speaker_that_comes_back_is_used(run):
    going = run(refusal=SpeakerLost(NO_DEVICE))
    going.say_all("a", SOUND)
    going.output.refusal = None
    going.say_all("b", SOUND)
    assert len(going.output.played) == 100


def test_replies_are_kept_as_files_when_a_folder_is_named(run, tmp_path):
    going = run(device="none", output_dir=tmp_path)
    going.say_all("7f/3a", SOUND, b"nonsense", wav(noise(50)))
    kept = sorted(path.name for path in tmp_path.iterdir())
    assert kept == ["7f_3a-000.wav", "7f_3a-002.wav"]
    assert (tmp_path / kept[1]).read_bytes() == wav(noise(50))


def test_a_reply_that_a_lost_speaker_does_not_play_is_kept(run, tmp_path):
    run(output_dir=tmp_path, loss=SpeakerLost("gone")).say_all("a", SOUND, SOUND)
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize(
    ("device", "why"), [("none", Unheard.NO_SPEAKER), ("", Unheard.SPEAKER_UNAVAILABLE)]
)
def test_without_a_loudspeaker_nothing_is_heard(run, device, why):
    going = run(device=device) if device else run(refusal=SpeakerLost(NO_DEVICE))
    going.play("a", 0)
    assert going.began()
    assert going.heard == {"a": lost(why, 1)}  # known before the person interrupts it
    going.play("a", 1)
    going.finish("a")
    assert going.heard == {"a": lost(why, 2)}
    if device:
        assert (going.speaker.problem, going.speaker.condition) == ("", "none is configured")


def test_the_chunks_that_a_lost_loudspeaker_does_not_play_are_counted(run):
    going = run(room=100)
    going.play("a", 0, 1, 2)
    assert going.output.starved.wait(SOON_S)
    going.output.loss = SpeakerLost("box: unplugged")
    going.finish("a")
    assert going.heard == {"a": lost(Unheard.SPEAKER_LOST, 2, audible=True)}
    assert going.speaker.problem == "box: unplugged"


def test_a_missing_loudspeaker_is_logged_at_the_start(run, caplog):
    going = run(device="USB", missing="no output device matches 'USB'")
    going.say_all("a", SOUND)  # the check comes before any reply
    assert caplog.messages[0] == f"replies are not heard: no output device matches 'USB'; {REMEDY}"
    assert caplog.records[0].levelno == logging.WARNING
    assert vars(caplog.records[0])["EVENT"] == "SpeakerLost"


@pytest.mark.usefixtures("short_idle")
def test_a_missing_loudspeaker_is_looked_for_again(run, log):
    clock, looks, answers = FakeClock(), queue.Queue(), [NO_DEVICE]

    def check():
        looks.put(clock.now)
        return answers[-1]

    going = run(monotonic=clock.monotonic, check=check)
    began_at = looks.get(timeout=SOON_S)
    clock.now += speaker_module.CHECK_AGAIN_S
    assert looks.get(timeout=SOON_S) == began_at + speaker_module.CHECK_AGAIN_S
    answers.append("")
    clock.now += speaker_module.CHECK_AGAIN_S
    looks.get(timeout=SOON_S)
    going.say_all("a", SOUND)
    assert log.messages[1:] == ["the loudspeaker is there again"]
    assert going.speaker.condition == "fine"
    assert looks.empty()  # a loudspeaker that is there is not looked for


@pytest.mark.usefixtures("short_idle")
def test_another_loudspeaker_is_looked_for_after_a_reload(run, monkeypatch):
    there, looked = FakeOutput(), threading.Event()
    there.check = lambda: looked.set() or "gone"
    monkeypatch.setattr(speaker_module, "make_output", lambda _: there)
    run().speaker.change(config.SpeakerOptions(device="USB"))
    assert looked.wait(SOON_S)


@pytest.mark.usefixtures("short_idle")
def test_after_a_reload_without_a_loudspeaker_its_return_is_not_logged(run, log):
    going = run(refusal=SpeakerLost(NO_DEVICE))
    going.say_all("a", SOUND)
    going.speaker.change(config.SpeakerOptions(device="none"))
    going.say_all("b", SOUND)
    assert going.heard["b"].reason is Unheard.NO_SPEAKER
    assert going.speaker.condition == "none is configured"
    assert "the loudspeaker is there again" not in log.messages


def test_close_ends_a_reply_that_hangs_and_leaves_no_thread(run):
    going = run(room=0)
    going.say("a", SOUND)
    assert going.output.starved.wait(SOON_S)
    assert going.speaker.close()
    assert "speaker" not in [thread.name for thread in threading.enumerate()]
    assert going.output.closed == 1
    going.say("b", SOUND)
    assert going.events.empty()


def test_a_speaker_is_a_context_and_can_be_closed_before_its_start():
    going = Run(FakeOutput())
    assert Run(FakeOutput()).speaker.close()
    with going.speaker:
        going.say_all("a", SOUND)
    assert "speaker" not in [thread.name for thread in threading.enumerate()]


def test_the_output_is_chosen_by_the_options():
    assert make_output(config.SpeakerOptions(device="none")) is None
    assert isinstance(make_output(config.SpeakerOptions()), PortAudioOutput)
    assert Speaker(config.SpeakerOptions(), on_started=print, on_ended=print).close()


def test_other_options_count_from_the_next_reply_on(run, monkeypatch, tmp_path):
    other = FakeOutput()
    monkeypatch.setattr(speaker_module, "make_output", lambda _options: other)
    going = run()
    going.say_all("a", wav(noise(500)))
    going.speaker.change(config.SpeakerOptions(device="other", output_dir=tmp_path))
    going.say_all("b", wav(noise(700)))
    assert (going.output.opened, other.opened) == (1, 1)
    assert np.array_equal(other.played, noise(700))
    assert [file.name for file in tmp_path.iterdir()] == ["b-000.wav"]


CHUNK = Chunk("a", 0, WAV, SOUND)


@pytest.mark.parametrize("is_first_heard", [False, True])
def test_a_stop_before_a_chunk_is_played_silences_the_rest(is_first_heard):
    going = Run(FakeOutput())
    going.speaker._playlist.add(CHUNK)
    taken = going.speaker._playlist.take(0)
    if is_first_heard:
        going.speaker._on_started = lambda _: going.speaker.stop()
    else:
        going.speaker.stop()
    going.speaker._play(taken)
    going.speaker._finish("a")
    assert going.output.opened == going.output.closed == is_first_heard
    assert going.events.empty()


def test_silence_twice_closes_once():
    going = Run(FakeOutput())
    going.speaker._play(CHUNK)
    going.speaker._silence()
    going.speaker._silence()
    assert going.output.closed == 1
    assert going.events.get() == ("started", "a")
