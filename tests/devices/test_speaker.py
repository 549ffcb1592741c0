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
from jarvis_ear.devices import player as player_module
from jarvis_ear.devices import speaker as speaker_module
from jarvis_ear.devices.output import PortAudioOutput, make_output
from jarvis_ear.devices.player import REMEDY
from jarvis_ear.devices.playlist import MAX_CHUNKS
from jarvis_ear.devices.shaping import DUCK_S, FADE_S, RELEASE_S
from jarvis_ear.devices.speaker import Speaker
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
            config.SpeakerOptions(**{"warm_s": 0, **options}),
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
    going = run(room=0, draining=1)
    going.say("a", SOUND)
    assert going.output.starved.wait(SOON_S)
    assert going.events.empty()
    going.output.make_room(None)
    assert going.began()
    assert going.output.took.wait(SOON_S)
    assert going.events.empty()
    going.output.draining = 0
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
    assert np.array_equal(going.output.played[-10:], noise(10, 2))
    assert len(going.output.played) <= 1000 + FADE_S * 16_000 + 10


def test_a_stop_silences_a_reply_that_is_only_draining(run):
    going = run(draining=1)
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
    monkeypatch.setattr(player_module, "GAP_S", 0.01)
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
    events = going.say_all("a", *[b"ADIF"] * 5, content_type="Audio/AAC; codecs=1")
    assert events == [("ended", "a")]
    words = "chunk 0 of the reply is left out: it is 'audio/aac' and starts with b'ADIF', expected "
    assert log.messages == [f"{words}wav, mp3, ogg, flac"]
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
    monkeypatch.setattr(player_module, "GIVE_UP_S", 0.01)
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
    clock.now += player_module.CHECK_AGAIN_S
    assert looks.get(timeout=SOON_S) == began_at + player_module.CHECK_AGAIN_S
    answers.append("")
    clock.now += player_module.CHECK_AGAIN_S
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


def test_a_stop_before_a_chunk_is_played_silences_the_rest():
    going = Run(FakeOutput())
    going.play("a", 0)
    assert going.speaker._step()  # the chunk is taken
    going.speaker.stop()
    going.speaker.finish("a")
    while going.speaker._step():
        pass
    assert going.events.empty()
    assert len(going.output.played) == 0


# An output that stays awake


@pytest.fixture
def stepped():
    """A speaker without a thread, whose clock the test moves. Its output has room for all."""

    def make(rate: int = 16_000, **options) -> Run:
        clock = FakeClock()
        made = Run(FakeOutput(rate), clock.monotonic, **options)
        made.clock = clock
        return made

    return make


def settle(going: Run) -> None:
    """Let the speaker do all that is due now."""
    before = -1
    while going.speaker._step() or len(going.output.played) > before:
        before = len(going.output.played)


def test_the_output_is_opened_before_a_reply_and_stays_open_after_it(stepped):
    going = stepped(warm_s=10)
    going.speaker.prepare()
    settle(going)
    assert going.output.opened == 1
    assert going.output.rests
    for turn in "ab":
        going.clock.now += 9
        going.say(turn, SOUND)
        settle(going)
    assert (going.output.opened, going.output.closed) == (1, 0)
    going.clock.now += 10
    settle(going)
    assert going.output.closed == 1
    assert going.heard == {"a": Playback(), "b": Playback()}


def test_an_output_that_is_not_used_for_long_is_released(stepped):
    going = stepped(warm_s=10)
    for _ in range(2):
        going.speaker.prepare()
        settle(going)
        going.clock.now += 10
        settle(going)
        going.clock.now += player_module.RELEASE_S - 10.1
        going.speaker._player.look()
        assert going.output.released == going.output.opened - 1
        going.clock.now += 0.1
        going.speaker._player.look()
        going.speaker._player.look()
        assert going.output.released == going.output.opened


def test_a_loudspeaker_that_is_missed_before_a_reply_is_logged_and_tried_again(stepped, log):
    going = stepped(warm_s=10)
    going.output.refusal = SpeakerLost(NO_DEVICE)
    going.speaker.prepare()
    settle(going)
    assert log.messages == [f"replies are not heard: {NO_DEVICE}; {REMEDY}"]
    going.output.refusal = None
    going.say("a", SOUND)
    settle(going)
    assert going.heard == {"a": Playback()}


def test_an_idle_output_that_fails_is_closed_and_costs_no_reply(stepped):
    going = stepped(warm_s=10)
    going.speaker.prepare()
    settle(going)
    going.output.loss = SpeakerLost("box: unplugged")
    settle(going)
    assert going.output.closed == 1
    going.output.missing = NO_DEVICE
    going.speaker._player.look()
    assert going.speaker.problem == NO_DEVICE
    going.output.loss = None
    going.say("a", SOUND)
    settle(going)
    assert going.heard == {"a": Playback()}
    assert going.speaker.condition == "fine"


@pytest.mark.parametrize("rate", [16_000, 48_000])
def test_an_output_that_swallows_its_first_second_loses_no_sample_of_the_first_word(stepped, rate):
    going = stepped(rate, warm_s=10, lead_in_ms=1000)
    going.say("a", wav(noise(rate), rate))
    settle(going)
    going.say("b", SOUND)  # while it is awake
    settle(going)
    heard = going.output.played[rate:]  # what is left of it
    assert not going.output.played[:rate].any()
    assert np.array_equal(heard[:rate], noise(rate))
    assert len(heard) == rate + 100 * rate // 16_000


def test_silence_that_was_played_before_counts_as_lead_in(stepped):
    going = stepped(warm_s=10, lead_in_ms=1000)
    silence = [10_000]  # it was prepared while the person spoke
    going.output.rest = lambda _: silence.pop() if silence else 0
    going.speaker.prepare()
    settle(going)
    going.say("a", SOUND)
    settle(going)
    assert len(going.output.played) == 6000 + 100


def test_other_options_do_not_close_an_output_that_they_do_not_concern(stepped):
    going = stepped(warm_s=10)
    going.say("a", SOUND)
    settle(going)
    going.speaker.change(config.SpeakerOptions(warm_s=20))
    going.say("b", SOUND)
    settle(going)
    assert (going.output.opened, going.output.closed) == (1, 0)


# Underruns, fades and a far end


def test_only_an_underrun_within_sound_is_counted_and_more_is_written_ahead(stepped):
    going = stepped(warm_s=10)
    going.output.make_room(500)
    going.play("a", 0, size=10_000)
    settle(going)
    ahead_s = going.speaker._player._ahead_s
    going.output.underran = True
    for _ in range(10):
        going.output.make_room(10)
        settle(going)
    assert going.speaker.counters()["speaker_underruns"] == 10
    assert going.speaker._player._ahead_s == player_module.MOST_AHEAD_S > ahead_s
    going.speaker.stop()
    going.output.make_room(None)
    settle(going)
    going.say("b", SOUND)  # it ran out of silence
    settle(going)
    assert going.speaker.counters()["speaker_underruns"] == 10


LOUD = np.full(16_000, 20_000, np.int16)


def began_loud(going: Run) -> None:
    """Play the first 500 samples of one second."""
    going.output.make_room(500)
    going.speaker.play("a", 0, WAV, wav(LOUD))
    settle(going)
    going.output.make_room(None)


def steps(played: np.ndarray) -> int:
    """The largest difference between two samples."""
    return int(np.abs(np.diff(played.astype(int))).max())


def test_a_stop_fades(stepped):
    going = stepped(warm_s=10)
    began_loud(going)
    going.speaker.stop()
    settle(going)
    played = going.output.played
    assert len(played) - 500 == round(FADE_S * 16_000)
    assert steps(played) < 200
    assert played[-1] < 200


def test_what_is_written_too_far_ahead_is_discarded_at_a_stop(stepped):
    going = stepped(warm_s=10)
    going.output.make_room(5000)
    going.play("a", 0, size=16_000)
    settle(going)
    going.output.draining = 4000
    going.output.make_room(None)
    going.speaker.stop()
    settle(going)
    assert going.output.closed == 1
    assert len(going.output.played) == 5000


def test_a_loudspeaker_that_is_lost_during_a_fade_is_closed(stepped):
    going = stepped(warm_s=10)
    began_loud(going)
    going.output.loss = SpeakerLost("gone")
    going.speaker.stop()
    settle(going)
    assert going.output.closed == 1
    assert going.heard == {}


def test_ducking_lowers_what_is_played_by_12_db_and_ends(stepped):
    going = stepped(warm_s=10)
    began_loud(going)
    going.speaker.duck(on=True)
    going.output.make_room(1000)
    settle(going)
    ducked = going.output.played[500 + round(DUCK_S * 16_000) : 1500]
    assert 20 * np.log10(ducked / 20_000) == pytest.approx(np.full(len(ducked), -12), abs=0.01)
    going.speaker.duck(on=False)
    going.output.make_room(None)
    settle(going)
    played = going.output.played
    assert (played[1500 + round(RELEASE_S * 16_000) :] == 20_000).all()
    assert steps(played) < 100


def test_a_reply_that_is_held_quietly_goes_on_ducked_and_the_next_one_is_not(stepped):
    going = stepped(warm_s=10, barge_in="wake-word-quietly")
    began_loud(going)
    going.speaker.pause("a")
    going.output.make_room(1000)
    settle(going)
    ducked = going.output.played[500 + round(DUCK_S * 16_000) : 1500]
    assert 20 * np.log10(ducked / 20_000) == pytest.approx(np.full(len(ducked), -12), abs=0.01)
    going.output.make_room(None)
    going.speaker.finish("a")
    settle(going)
    before = len(going.output.played)
    going.speaker.play("b", 0, WAV, wav(np.full(12_000, 20_000, np.int16)))
    settle(going)
    next_one = going.output.played[before:]
    assert (next_one[round(RELEASE_S * 16_000) :] == 20_000).all()


def test_a_volume_counts_at_once_and_makes_no_click(stepped):
    going = stepped(warm_s=10, volume=50)
    began_loud(going)
    assert (going.output.played == 2500).all()
    assert going.speaker.set_volume(100)
    assert going.speaker.volume == 100
    settle(going)
    assert going.output.played[-1] == 20_000
    assert steps(going.output.played) < 100


def test_at_volume_zero_a_reply_is_silent_and_counts_as_played(stepped):
    going = stepped(warm_s=10, volume=0)
    going.say("a", wav(LOUD))
    settle(going)
    assert len(going.output.played) == len(LOUD)
    assert not going.output.played.any()
    assert going.heard == {"a": Playback()}


def test_a_reload_changes_the_volume(stepped):
    going = stepped(volume=50)
    going.speaker.change(config.SpeakerOptions(volume=30))
    assert going.speaker.volume == 30


def test_the_far_end_gets_what_was_written_with_its_time():
    pieces = []
    output = FakeOutput(48_000)
    speaker = Speaker(
        config.SpeakerOptions(),
        on_started=lambda _: None,
        on_ended=lambda _: None,
        on_far=lambda pcm, at: pieces.append((np.frombuffer(pcm, "<i2"), at)),
        output=output,
    )
    write = output.write

    def write_and_tell(pcm, most):
        output.heard_at = 100 + len(output.played) / 48_000
        return write(pcm, most)

    output.write = write_and_tell
    output.rest = lambda most: most
    speaker.duck(on=True)
    speaker.play("a", 0, WAV, wav(noise(48_000), 48_000))
    for _ in range(200):
        speaker._step()
    far = np.concatenate([pcm for pcm, _ in pieces])
    assert np.array_equal(far, resample(output.played, 48_000, 16_000))
    ends = np.cumsum([0, *[len(pcm) for pcm, _ in pieces]])[:-1]
    assert [at for _, at in pieces] == pytest.approx(100 + ends / 16_000)


# Pause and resume


def test_a_paused_reply_goes_on_at_the_beginning_of_its_sentence(stepped):
    going = stepped(warm_s=10)
    going.play("a", 0, size=9000)
    settle(going)
    going.output.make_room(3000)
    going.speaker.play("a", 1, WAV, wav(noise(20_000, 2)))
    settle(going)
    going.speaker.pause("a")
    going.output.make_room(None)
    settle(going)
    cut = len(going.output.played)
    assert cut <= 9000 + 3000 + FADE_S * 16_000
    going.play("a", 2, size=700)
    going.speaker.finish("a")
    going.clock.now += 60  # the output is closed meanwhile
    settle(going)
    assert (len(going.output.played), going.output.closed) == (cut, 1)
    assert [going.next()] == [("started", "a")]
    going.speaker.resume("a")
    settle(going)
    rest = going.output.played[cut:]
    fade = round(FADE_S * 16_000)
    assert np.array_equal(rest[fade:20_000], noise(20_000, 2)[fade:])
    assert len(rest) == 20_000 + 700
    assert going.ended("a") == [("ended", "a")]
    assert going.heard == {"a": Playback()}


def test_a_pause_long_after_the_beginning_goes_back_three_tenths_of_a_second(stepped):
    going = stepped(warm_s=10)
    going.output.make_room(20_000)
    going.play("a", 0, size=30_000)
    settle(going)
    going.speaker.pause("a")
    settle(going)
    going.speaker.resume("a")
    going.output.make_room(None)
    settle(going)
    rest = going.output.played[20_000:]
    fade, back = round(FADE_S * 16_000), 4800
    assert np.array_equal(rest[fade:], noise(30_000)[20_000 - back + fade :])


def test_what_was_written_and_not_heard_is_heard_after_a_pause(stepped):
    going = stepped(warm_s=10)
    going.output.make_room(20_000)
    going.play("a", 0, size=30_000)
    settle(going)
    going.output.draining = 3000  # too much to wait for
    going.output.make_room(None)
    going.speaker.pause("a")
    settle(going)
    assert going.output.closed == 1
    going.speaker.resume("a")
    settle(going)
    rest = going.output.played[20_000:]
    assert len(rest) == 30_000 - 20_000 + 3000 + 4800


def test_a_reply_paused_while_its_last_sound_is_played_ends_after_it_is_resumed(stepped):
    going = stepped(warm_s=10)
    going.output.draining = 50
    going.say("a", SOUND)
    settle(going)
    going.speaker.pause("a")
    going.output.draining = 0
    settle(going)
    assert [going.next(), going.events.empty()] == [("started", "a"), True]
    going.speaker.resume("a")
    settle(going)
    assert going.next() == ("ended", "a")
    assert len(going.output.played) == 200


def test_a_stop_drops_a_paused_reply(stepped):
    going = stepped(warm_s=10)
    began_loud(going)
    going.speaker.pause("a")
    settle(going)
    going.play("a", 1)
    going.speaker.stop()
    going.speaker.resume("a")
    going.speaker.finish("a")
    cut = len(going.output.played)
    settle(going)
    going.say("b", SOUND)
    settle(going)
    assert len(going.output.played) == cut + 100
    assert list(going.heard) == ["b"]


def test_a_pause_after_the_end_holds_nothing_up(stepped):
    going = stepped(warm_s=10)
    going.say("a", SOUND)
    settle(going)
    going.speaker.pause("a")
    settle(going)
    going.say("b", SOUND)
    settle(going)
    assert list(going.heard) == ["a", "b"]


def test_a_chunk_after_the_end_begins_no_second_reply(stepped):
    going = stepped(warm_s=10)
    going.say("a", SOUND)
    settle(going)
    going.play("a", 1)
    settle(going)
    assert [going.next(), going.next()] == whole("a")
    assert going.events.empty()


def test_a_reply_paused_before_its_first_chunk_waits(stepped):
    going = stepped(warm_s=10)
    going.speaker.pause("a")
    going.say("a", SOUND)
    settle(going)
    assert going.events.empty()
    going.speaker.resume("a")
    settle(going)
    assert going.ended("a") == whole("a")


def test_a_loudspeaker_that_is_gone_after_a_pause_is_a_loss(stepped):
    going = stepped(warm_s=0)
    going.output.make_room(500)
    going.play("a", 0, size=16_000)
    settle(going)
    going.speaker.pause("a")
    going.clock.now += 60
    settle(going)
    going.output.refusal = SpeakerLost(NO_DEVICE)
    going.speaker.resume("a")
    going.speaker.finish("a")
    settle(going)
    assert going.heard["a"].left_out == 1
    assert going.ended("a") == whole("a")


@pytest.mark.parametrize("size", [5_512, 22_050])
def test_the_pieces_of_raw_sound_are_joined_without_a_click(stepped, size):
    going = stepped(48_000)
    tone = np.round(9000 * np.sin(np.arange(22_050) / 11)).astype(np.int16)
    going.say("a", *(wav(tone[at : at + size], 22_050) for at in range(0, len(tone), size)))
    settle(going)
    assert np.array_equal(going.output.played, resample(tone, 22_050, 48_000))


def test_a_piece_of_another_rate_or_none_that_can_be_played_loses_nothing(stepped):
    going = stepped(48_000)
    pieces = [noise(800), noise(500, 2), noise(600, 3)]
    going.say("a", wav(pieces[0], 8_000), wav(pieces[1], 48_000), wav(pieces[2], 8_000), b"none")
    settle(going)
    expected = [resample(pieces[0], 8_000, 48_000), pieces[1], resample(pieces[2], 8_000, 48_000)]
    assert np.array_equal(going.output.played, np.concatenate(expected))
