"""Known situations have the effects of their golden files."""

import json

import pytest

from fakes.recordings import DATA
from replay.golden import SITUATIONS, golden_file, replay


@pytest.mark.parametrize("name", SITUATIONS)
def test_the_effects_are_those_of_the_golden_file(name):
    assert list(replay(SITUATIONS[name]())) == golden_file(name).read_text().splitlines()


def test_every_golden_file_has_its_situation():
    assert {file.name.partition(".")[0] for file in DATA.glob("*.events.jsonl")} == set(SITUATIONS)


def sent(name: str) -> list[dict[str, object]]:
    lines = map(json.loads, golden_file(name).read_text().splitlines())
    return [fields for _, kind, fields in lines if kind == "SendUtterance"]


@pytest.mark.parametrize("name", [name for name in SITUATIONS if name != "wake_word_alone"])
def test_a_golden_file_holds_one_command(name):
    [utterance] = sent(name)
    assert utterance["reason"] == "hangover"
    assert utterance["lost"] == (2400 if name == "gap_in_the_middle_of_a_word" else 0)


def test_the_wake_word_alone_sends_nothing():
    assert sent("wake_word_alone") == []
    assert '"reason": "DeadlinePassed"' in golden_file("wake_word_alone").read_text()
