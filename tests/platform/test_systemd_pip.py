"""The installation as it is on a fresh machine, pip and all; a minute, and it takes an index."""

import pytest

pytestmark = pytest.mark.slow


def test_pip_makes_an_environment_in_which_the_ear_hears(prepared):
    said = prepared.service("install")
    assert "It is installed and runs." in said
    prepared.wait_until_it_hears()
    assert prepared.service("install").startswith("nothing to do")
