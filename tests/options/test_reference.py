import re
import tomllib
from functools import partial
from pathlib import Path

from jarvis_ear.config import Config
from jarvis_ear.options import render
from jarvis_ear.schema import SCHEMA, load

OPTIONS, SHORT_FLAGS = SCHEMA.options, SCHEMA.short_flags
effective, reference, everyday, everything = (
    partial(one, SCHEMA)
    for one in (render.effective, render.reference, render.everyday, render.everything)
)

PAGE = Path(__file__).parents[2] / "docs" / "configuration.md"


def test_the_page_is_up_to_date_and_has_a_row_for_every_option():
    assert PAGE.read_text() == reference(), "run `make docs`"
    rows = re.findall(r"^\| `(.+)$", reference(), re.MULTILINE)
    assert [row.split("`")[0] for row in rows] == [option.key for option in OPTIONS]
    assert {row.count(" | ") for row in rows} == {7}
    assert all("  |" not in row for row in rows)


def test_the_examples_on_the_page_are_the_defaults():
    rows = re.findall(r"^\| `([^`]+)` \| `(.+?)` \|", reference(), re.MULTILINE)
    examples = dict(rows)
    assert [key for key, _ in rows] == [option.key for option in OPTIONS]
    assert examples["hearing.wake.threshold"] == "threshold = 0.0"
    assert examples["microphone.fast"] == "fast = false"
    assert examples["backend.password"] == 'password = "..."'
    assert all(tomllib.loads(example) for example in examples.values())


def test_the_password_has_no_argument():
    (row,) = re.findall(r"^\| `backend.password` .+$", reference(), re.MULTILINE)
    assert "| never |" in row
    assert "--backend.password`" not in reference()


def test_help_shows_the_everyday_options_and_all_help_shows_all():
    assert all(flag in everyday() for flag in SHORT_FLAGS.values())
    assert all(flag in everything() for option in OPTIONS for flag in option.flags)
    assert all(len(line) <= 88 for line in everyday().splitlines())


def test_the_values_in_force_are_a_valid_configuration(tmp_path):
    argv = ["--threshold", "0.4", "--wake-model", 'a "b".onnx', "--with-backend", "--device", "ü"]
    loaded = load(argv, {"JARVIS_PASSWORD": "hunter2"}, default_file=tmp_path / "gone")
    text = effective(loaded)
    assert "hunter2" not in text
    again = tmp_path / "c.toml"
    again.write_text(text)
    twice = load([], {"JARVIS_PASSWORD": "hunter2"}, default_file=again)
    assert twice.config == loaded.config
    assert twice.config != Config()
    text = effective(load(["--threshold", "0.4"], {}, default_file=tmp_path / "gone"))
    assert re.search(r"^threshold = 0\.4 +# command line: --threshold$", text, re.MULTILINE)
    assert re.search(r"^# password is not shown +# default$", text, re.MULTILINE)
    assert len(re.findall(r"  # ", text)) == len(OPTIONS)
