"""The library interface: what docs/library.md promises."""

import importlib
import re
import wave
from itertools import pairwise
from pathlib import Path

import pytest

from jarvis_ear.backend import BackendClient
from jarvis_ear.delivery import events
from jarvis_ear.listener import CapturedAudio, HearingOptions, Listener
from jarvis_ear.units import SAMPLE_RATE

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "library.md").read_text()
NOW = 1000.0


@pytest.fixture(scope="module")
def recording() -> bytes:
    with wave.open(str(ROOT / "tests" / "data" / "hey-jarvis-what-time-is-it.wav")) as file:
        assert file.getframerate() == SAMPLE_RATE
        return file.readframes(file.getnframes())


def utterances(sound: bytes, block: int) -> list[CapturedAudio]:
    listener = Listener(now=lambda: NOW)
    edges = [*range(0, len(sound), block), len(sound)]
    found = [one for a, b in pairwise(edges) for one in listener.hear(sound[a:b])]
    return [*found, *listener.finish()]


def test_a_listener_finds_the_same_utterances_in_blocks_of_any_length(recording):
    twice = recording + bytes(2 * 2 * SAMPLE_RATE) + recording + bytes(2 * 2 * SAMPLE_RATE)
    one, other = utterances(twice, 2 * 320), utterances(twice, 2 * 4097)
    assert [each.pcm for each in one] == [each.pcm for each in other]
    assert len(one) == len({each.turn_id for each in one}) == 2
    assert all(each.pcm in twice for each in one)
    assert all(0.7 < NOW - each.spoken_at < 0.9 for each in one)  # the pause that ends speech


def test_the_end_of_the_sound_ends_an_utterance_in_progress(recording):
    (whole,) = utterances(recording + bytes(2 * 2 * SAMPLE_RATE), 1280)
    cut = recording[: recording.index(whole.pcm[:1000]) + len(whole.pcm) - SAMPLE_RATE]
    (found,) = utterances(cut, 1280)
    assert whole.pcm.startswith(found.pcm[:1000])
    assert utterances(bytes(len(cut)), 1280) == []


def test_a_listener_takes_options_and_refuses_half_a_sample():
    options = HearingOptions()
    assert Listener(options).hear(b"") == ()
    with pytest.raises(ValueError, match="3 bytes of PCM16: expected an even number"):
        Listener(options).hear(bytes(3))


ROWS = re.findall(r"^\| `(jarvis_ear[\w.]*)` \| (.+) \|$", PAGE, re.MULTILINE)


@pytest.mark.parametrize(("module", "names"), ROWS, ids=[row[0] for row in ROWS])
def test_the_page_lists_what_is_public(module, names):
    public = importlib.import_module(module)
    listed = re.findall(r"`(\w+)`", names)
    assert [name for name in listed if not hasattr(public, name)] == []
    if module in ("jarvis_ear.backend", "jarvis_ear.listener"):
        assert set(listed) == set(public.__all__)


def test_every_event_is_importable_from_one_place():
    kinds = {kind.__name__ for kind in events.DeliveryEvent.__args__}
    assert len(kinds) > 10
    assert kinds | {
        "DeliveryEvent",
        "TurnEvent",
        "LinkEvent",
        "Cause",
        "Verdict",
        "VolumeRequest",
    } == set(events.__all__)


def test_every_method_that_the_page_names_exists():
    table = PAGE.partition("| call |")[2].partition("\n\n")[0]
    promised = re.findall(r"`(\w+)[(`]", table)
    inner = re.findall(r"`(\w+)`", PAGE.partition("that only the ear calls")[2].partition(")")[0])
    assert (len(promised), len(inner)) == (9, 6)
    assert [name for name in [*promised, *inner] if not hasattr(BackendClient, name)] == []


def test_the_defaults_of_options_are_seen_by_type_checkers_without_a_plugin():
    declared = [*(ROOT / "jarvis-ear" / "src").glob("jarvis_*/config*.py")]
    assert len(declared) > 3
    by_position = re.compile(r"= Field\(\s*(?!\w+=)\S")
    assert [path.name for path in declared if by_position.search(path.read_text())] == []
