from fakes.output import FakeOutput
from jarvis_ear.audio.wav import pcm_to_wav
from jarvis_ear.devices.player import Chunk, Player, Playlist

CHUNK = Chunk("a", 0, "audio/wav", pcm_to_wav(bytes(200)))


class Run:
    def __init__(self):
        self.told = []
        self.output = FakeOutput()
        self.playlist = Playlist()
        self.player = Player(
            self.output,
            self.playlist,
            files=None,
            on_started=lambda turn: self.told.append(("started", turn)),
            on_ended=lambda turn: self.told.append(("ended", turn)),
            monotonic=lambda: 0.0,
        )


def test_a_chunk_that_was_stopped_on_its_way_to_the_player_is_not_played():
    run = Run()
    run.playlist.add(CHUNK)
    taken = run.playlist.take(0)
    run.playlist.stop()
    run.player.play(taken)
    run.player.finish("a")
    assert (run.output.opened, run.told) == (0, [])


def test_a_stop_while_the_first_sound_is_told_silences_the_rest():
    run = Run()
    run.playlist.add(CHUNK)
    taken = run.playlist.take(0)
    run.player._on_started = lambda _: run.playlist.stop()
    run.player.play(taken)
    run.player.finish("a")
    assert (run.output.closed, run.told) == (1, [])


def test_silence_twice_closes_once():
    run = Run()
    run.player.play(CHUNK)
    run.player.silence()
    run.player.silence()
    assert run.output.closed == 1
    assert run.told == [("started", "a")]
