"""The bench runs, on seconds of sound: every measurement, its table, its marks, its material."""

import json
import math
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))

from bench.material import OURS, open_collection, spread
from bench.percent import interval, share
from bench.pictures import DelayPicture
from bench.scale import QUICK, SMOKE
from bench.scene import CLEAN, Room, Speech, after_a_pause, one_breath, play
from bench.sound import loudness, powers, reverberant, rms, shifted
from bench.table import MISSED, Figure, Table

from bench import __main__ as program

pytestmark = pytest.mark.long  # each runs a measurement


PNG = b"\x89PNG"


@pytest.fixture
def collection(monkeypatch, tmp_path):
    """Our own recordings, whatever lies next to the project."""
    monkeypatch.setattr("bench.material.NEIGHBOUR", tmp_path)
    return open_collection(None)


def row(table, name):
    """The figures of the first row whose name begins so, by their column."""
    cells = next(cells for cells in table.rows if str(cells[0]).startswith(name))
    return dict(zip(table.columns, cells, strict=True))


def value(cell):
    return cell.value if isinstance(cell, Figure) else float(cell)


def measure(name, collection, scale=SMOKE):
    (table,) = program.MEASUREMENTS[name](scale, collection)
    assert table.render().startswith(table.title)
    return table


def test_the_gate_saves_work_in_a_quiet_room(collection):
    table, words = program.MEASUREMENTS["cpu"](replace(SMOKE, cpu_s=5), collection)
    quiet = row(table, "quiet")
    assert 0 < value(quiet["floor"]) < value(quiet["vad"]) < value(quiet["always"])
    assert value(row(words, "1")["CPU s/h"]) > 0
    assert [cells[0] for cells in words.rows] == ["1", "2", "3", "4"]


def test_the_end_of_an_utterance_passes_the_card_and_the_network(collection):
    cells = row(measure("card-delay", collection), "1")
    assert (cells["utterances"], cells["not sent"]) == ("1", "0")
    assert -20 < value(cells["p50"]) < 2000


def test_whole_programs_are_measured_side_by_side(collection):
    programs, threads = program.MEASUREMENTS["quiet"](SMOKE, collection)
    assert {cells[0] for cells in programs.rows} >= {"jarvis-ear", "openwakeword", "arecord"}
    assert all(cells[2].value >= 0 and cells[4].value > 1 for cells in programs.rows)
    assert any("jarvis-ear" in cells[0] for cells in threads.rows)


def test_frames_are_timed_by_what_they_set_off(collection):
    table = measure("latency", collection)
    frames = {str(cells[0]): int(cells[1]) for cells in table.rows}
    assert frames["wake word detected (the room is recalled)"] == 1
    assert frames["step, gate open"] > 5
    assert table.missed == 0


def test_memory_is_that_of_a_process_with_models(collection):
    table = measure("memory", collection)
    assert 40 < value(row(table, "once loaded")["resident"]) < 400
    assert value(row(table, "`jarvis-ear run`")["median of starts"]) > 0


def test_verbs_are_measured_beside_a_bare_python(collection):
    table = measure("verbs", collection)
    python = row(table, "python -I")
    assert 0 < value(python["resident at most"]) < 25
    assert all(value(cells[1]) > 0 for cells in table.rows)
    names = {cells[0] for cells in table.rows}
    assert names >= {
        f"jarvis-ear {verb}" for verb in ("--help", "listen", "volume 40", "say Dinner")
    }


def test_utterances_reach_the_server(collection):
    table = measure("delivery", collection)
    assert [cells[2] for cells in table.rows] == ["1", "1"]
    assert all(0 < value(cells[3]) < value(cells[6]) for cells in table.rows)


def test_consoles_have_their_news(collection):
    table = measure("console", collection)
    assert [cells[0] for cells in table.rows] == ["0", "1", "10"]
    assert value(row(table, "10")["news"]) > 10


def test_speech_to_the_backend_is_answered(collection):
    table = measure("realtime", collection, replace(SMOKE, streams=((2, 3),)))
    assert table.rows[0][1] == "2"
    assert value(table.rows[0][7]) > 0


@pytest.mark.parametrize(
    ("name", "cells"),
    [("satellites", ("2", "2")), ("bus", ("5", "50", "250", "0")), ("loopback", ("20",))],
)
def test_nothing_is_lost(collection, name, cells):
    (first, *_) = measure(name, collection).rows
    assert first[: len(cells)] == cells
    assert name == "bus" or value(first[2]) > 0


def test_our_recordings_wake_the_ear_with_the_gate_and_without(collection):
    table = measure("recall", collection)
    clean = row(table, "pos_synth_command, clean")
    assert (value(clean["always"]), value(clean["vad"])) == (100.0, 100.0)
    assert value(clean["lost by the gate"]) == 0


def test_a_command_does_not_wake_the_ear(collection):
    table = measure("accepts", collection)
    assert value(row(table, "neg_commands")["false accepts"]) == 0
    assert value(row(table, "all of it: ordinary")["hours"]) > 0


@pytest.mark.skipif(not any(map(shutil.which, ("flite", "espeak-ng"))), reason="no synthesiser")
def test_wake_words_over_a_reply_are_counted(collection):
    first, drifting, own = program.MEASUREMENTS["echo"](SMOKE, collection)
    assert [str(cells[2]) for cells in first.rows] == ["1"] * 6
    assert str(row(first, "5 s")["found alone"]).startswith("100 %")
    assert len(drifting.rows) == 9
    assert [value(cells[-1]) for cells in own.rows] == [0, 0, 0]


@pytest.mark.skipif(not any(map(shutil.which, ("flite", "espeak-ng"))), reason="no synthesiser")
def test_a_wake_word_over_a_reply_is_found_by_the_whole_daemon(collection):
    cells = row(measure("echo-cards", collection), "+0 dB")
    assert (cells["words"], cells["own words"]) == ("1", "1")
    assert value(cells["missed"]) == 0


def test_the_loudspeaker_is_timed_by_the_clock_of_its_card(collection):
    first, orders, underruns, lead_ins = program.MEASUREMENTS["speaker"](SMOKE, collection)
    assert value(row(first, "open")["p50"]) > 0
    assert [cells[0] for cells in orders.rows] == ["stop", "pause", "duck"]
    assert len(underruns.rows) == 2
    assert [value(cells[2]) for cells in lead_ins.rows] == [1000, 0]


def test_without_a_synthesiser_there_is_no_reply(collection, monkeypatch):
    monkeypatch.setattr("bench.echo.shutil.which", lambda _: None)
    table = measure("echo", collection)
    assert table.rows == []
    assert "flite" in table.notes[0]


def test_a_command_in_a_quiet_room_is_captured_whole(collection):
    table = measure("endings", collection)
    assert value(row(table, "clean")["whole"]) == 100.0
    assert 0.5 < value(row(table, "clean")["delay p50"]) < 1.5
    table = measure("pauses", collection)
    for pause in ("1 s", "2 s", "3 s"):
        assert value(row(table, f"clean, pause {pause}")["whole"]) == 100.0


def test_a_scene_knows_where_the_word_ends_and_the_command_starts(collection):
    (word,) = collection.labelled("pos_synth_isolated")
    (command,) = collection.labelled("neg_commands")
    speech = after_a_pause(word, command, 2.0)
    assert speech.word_ends is not None
    assert speech.command_starts == speech.word_ends + 32_000
    assert not speech.waves[speech.word_ends : speech.command_starts].any()
    (clip,) = [c for c in collection.labelled("pos_synth_command") if c.name == "light-rms.wav"]
    speech = one_breath(clip)
    assert speech.word_ends is not None
    assert speech.command_starts is not None
    silence = speech.waves[speech.word_ends : speech.command_starts]
    assert rms(silence) < loudness(speech.waves) / 30


def test_a_room_that_says_nothing_after_the_wake_word_gets_no_utterance(collection):
    clean = row(measure("strangers", collection), "clean")
    assert (clean["woken alone"], clean["woken, command"]) == ("1", "1")
    assert value(clean["sent though nobody spoke"]) == value(clean["lost"]) == 0


def test_missed_words_and_false_accepts_are_drawn(collection, tmp_path):
    table = measure("det", collection)
    assert table.columns[1:] == ("0.1", "0.2", "0.35", "0.5", "0.7", "0.9")
    assert value(row(table, "clean")["0.5"]) == 0
    assert table.picture.draw(tmp_path).read_bytes().startswith(PNG)


def test_the_delays_of_rooms_are_drawn(tmp_path):
    picture = DelayPicture("delays.png", "Delays", {"clean": [0.8, 0.9], "no end": []})
    assert picture.draw(tmp_path / "new").read_bytes().startswith(PNG)


def dominant_hz(waves):
    return int(np.abs(np.fft.rfft(waves)).argmax() * 16_000 / len(waves))


@pytest.mark.parametrize("semitones", [-4, 4, 6])
def test_a_voice_is_higher_and_as_long_as_before(semitones):
    sine = 3000 * np.sin(2 * np.pi * 300 * np.arange(16_000) / 16_000)
    higher = shifted(sine, semitones)
    assert len(higher) == len(sine)
    assert dominant_hz(higher) == pytest.approx(300 * 2 ** (semitones / 12), rel=0.02)
    assert rms(higher) == pytest.approx(rms(sine), rel=0.1)


def test_an_echo_follows_the_speech_and_makes_it_no_louder():
    waves = np.zeros(16_000)
    waves[:4000] = np.tile([3000.0, -3000.0], 2000)
    wet = reverberant(waves, 0.5, np.random.default_rng(1))
    assert loudness(wet) == pytest.approx(loudness(waves), rel=0.01)
    assert rms(wet[5000:6000]) > 5 * rms(wet[11_000:12_000]) > 5


def test_a_room_may_clip_and_its_microphone_may_be_quiet(collection):
    clip = collection.labelled("pos_synth_command")[0]
    rooms = (CLEAN, Room(gain_db=-36), Room(peak_dbfs=12))
    clean, quiet, clipped = (
        play(one_breath(clip), room, collection, before_s=1, after_s=1).sound for room in rooms
    )
    assert 20 * math.log10(loudness(clean) / loudness(quiet)) == pytest.approx(36, abs=2)
    assert (np.abs(clipped.astype(int)) >= 32_767).sum() > 100
    assert [str(room) for room in rooms] == ["clean", "gain -36 dB", "clipped at +12 dBFS"]


def test_a_share_has_its_interval():
    assert str(share(0, 10, 5.0)) == "0 % (0-28)"
    assert str(share(5, 10, 5.0)) == f"50 % (24-76){MISSED}"
    assert interval(10, 10) == pytest.approx((72.2, 100.0), abs=0.1)
    assert math.isnan(share(0, 0).value)


@pytest.mark.parametrize("noise", ["household", "babble", "television", "music"])
@pytest.mark.parametrize("snr_db", [20, 5])
def test_noise_is_as_far_below_the_speech_as_it_says(collection, noise, snr_db):
    waves = np.tile([4000.0, -4000.0], 16_000)
    speech = Speech("buzz", waves, None, None, len(waves))
    noisy = play(speech, Room(noise, snr_db), collection, before_s=1, after_s=1).sound
    quiet = play(speech, CLEAN, collection, before_s=1, after_s=1).sound
    added = noisy.astype(float) - quiet
    assert 20 * math.log10(4000 / rms(added)) == pytest.approx(snr_db, abs=0.5)


def test_a_television_talks_and_pauses(collection):
    power = powers(collection.television.waves)
    assert np.percentile(power, 5) < np.percentile(power, 95) / 1000
    assert rms(collection.television.waves) == pytest.approx(1000, rel=0.01)


def test_the_same_scene_is_the_same_in_every_run(collection):
    clip = collection.labelled("pos_synth_command")[0]
    room = Room("babble", 10)
    one, other = (play(one_breath(clip), room, collection, before_s=1, after_s=1) for _ in range(2))
    assert (one.sound == other.sound).all()


def test_a_collection_is_its_manifest_or_our_recordings(collection, tmp_path):
    assert collection.folder == OURS
    assert "too little" in collection.describes
    line = "x.wav,pos_synth_command,nobody,free,1.0,hey jarvis stop\n"
    (tmp_path / "MANIFEST.csv").write_text("file,label,source,licence,seconds,said\n" + line)
    (clip,) = open_collection(tmp_path).labelled("pos_synth_command")
    assert (clip.path, clip.said) == (tmp_path / "x.wav", "hey jarvis stop")
    assert spread(list(range(100)), 4) == [0, 25, 50, 75]
    assert spread([1, 2], 4) == [1, 2]


def test_a_missed_target_is_marked_and_counted():
    table = Table("T", ("a", "b"), [("x", Figure(3.0, at_most=2.0)), ("y", Figure(2.0, at_most=2))])
    assert table.missed == 1
    assert table.render().splitlines()[3].endswith(MISSED.strip())
    assert MISSED not in table.render().splitlines()[4]
    assert Figure(float("nan"), at_most=1.0).missed
    assert str(Figure(float("nan"), at_most=1.0)) == f"-{MISSED}"
    assert not Figure(float("nan")).missed


def test_the_program_prints_tables_and_writes_figures(collection, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(program, "QUICK", SMOKE)
    file = tmp_path / "figures.json"
    status = program.main(["--quick", "--only", "latency", "--only", "cpu", "--json", str(file)])
    assert status == 0
    titles = [table["title"] for table in json.loads(file.read_text())]
    assert titles[:2] == ["Time for one frame", "CPU seconds per hour of sound, back to back"]
    printed = capsys.readouterr().out
    assert all(title in printed for title in titles)
    assert "targets missed" in printed
    with pytest.raises(SystemExit) as refused:
        program.main(["--only", "beauty"])
    assert refused.value.code == 2
    assert "beauty" in capsys.readouterr().err
    assert QUICK.cpu_s < program.FULL.cpu_s
