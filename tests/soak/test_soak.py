"""An hour of what `make soak` does with a day."""

import os
import sys

import pytest

from fakes.program import run


@pytest.mark.long
def test_an_hour_of_a_home():
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-m", "soak", "--hours", "1"]
    done = run(command, check=False, env=env, timeout=280)
    assert done.returncode == 0, done.stdout
