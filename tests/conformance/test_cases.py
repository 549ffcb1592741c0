"""The suite is whole: each side stands each case on each wire, or there is a reason why not."""

from importlib import import_module

import pytest

from fakes.wire_cases import ALL, BUS, CASES, SIDES, UNTESTED
from fakes.wire_clients import CLIENTS
from jarvis_ear.link.registry import WIRES


def found_in(file):
    """Each test function of a file of the suite, and the wires that it runs on."""
    for name, test in vars(import_module(f"conformance.{file}")).items():
        if name.startswith("test_"):
            yield name, wires_of(test)


def wires_of(test):
    marks = [mark.args for mark in getattr(test, "pytestmark", []) if mark.name == "parametrize"]
    return {each for names, wires, *_ in marks if names == "wire" for each in wires}


def stood(side):
    return {
        (side, case, wire)
        for file in SIDES[side]
        for name, wires in found_in(file)
        for case in CASES
        if f"{name}_".startswith(f"test_{case}_")
        for wire in wires
    }


@pytest.mark.parametrize("wire", ALL)
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("side", SIDES)
def test_every_case_has_its_test_or_a_reason(side, case, wire):
    tested, excused = (side, case, wire) in stood(side), (side, case, wire) in UNTESTED
    assert tested or excused, "neither a test nor a reason"
    assert not (tested and excused), "a reason, and a test all the same"


def test_the_suite_knows_every_wire():
    assert set(ALL) == {*WIRES, BUS} == set(CLIENTS)


def test_a_test_that_is_missing_would_be_noticed():
    assert ("ear", "interruption", BUS) not in stood("ear")
    assert ("ear", "interruption", "socketio") in stood("ear")
