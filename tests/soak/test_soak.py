"""An hour of what `make soak` does with a day."""

import os
import subprocess
import sys

import pytest


@pytest.mark.long
def test_an_hour_of_a_home():
    done = subprocess.run(
        [sys.executable, "-m", "soak", "--hours", "1"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        check=False,
        timeout=280,
    )
    assert done.returncode == 0, done.stdout
