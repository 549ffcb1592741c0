import pytest

from jarvis_ear.journal.kind import FIELDS, OF_EVENTS, OF_EVERY_RECORD, OF_TURNS, is_name


@pytest.mark.parametrize("name", FIELDS)
def test_the_journal_takes_every_name(name):
    assert is_name(name)
    assert FIELDS[name].meaning


@pytest.mark.parametrize("name", ["", "lower", "_PID", "9LIVES", "A" * 65, "A B", "A\n", "A="])
def test_what_is_no_name(name):
    assert not is_name(name)


def test_units_stand_in_the_names():
    assert {name for name, field in FIELDS.items() if field.unit == "ms"} == {
        name for name in FIELDS if name.endswith("_MS")
    }


def test_no_field_is_declared_twice():
    assert len(FIELDS) == len(OF_EVENTS) + len(OF_TURNS) + len(OF_EVERY_RECORD)
