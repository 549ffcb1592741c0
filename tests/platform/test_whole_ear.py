"""The whole ear on a sound card: from a microphone to a loudspeaker, in real time."""

import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from fakes.recordings import QUESTION, recording
from fakes.vmic import VirtualCard, missing_tools, vmic

pytestmark = pytest.mark.skipif(missing_tools() is not None, reason=str(missing_tools()))


@pytest.fixture
def card(tmp_path: Path) -> VirtualCard:
    return vmic(tmp_path, recording(QUESTION))


def test_a_question_at_the_microphone_is_answered_from_the_loudspeaker(card: VirtualCard) -> None:
    ear = subprocess.Popen(
        [sys.executable, "-m", "jarvis_ear", "run", "--with-backend", "--log-transcripts"],
        stderr=subprocess.PIPE,
        text=True,
        env=card.environment,
    )
    assert ear.stderr is not None
    said: list[str] = []
    for line in ear.stderr:
        said.append(line)
        if ": done after" in line:
            break
    ear.send_signal(signal.SIGTERM)
    _, rest = ear.communicate(timeout=20)
    story = "".join(said) + rest
    assert ear.returncode == 0, story
    assert 'understood "what time is it"' in story
    assert "lost" not in story
    played = np.frombuffer(card.played.read_bytes(), np.int16)
    assert np.abs(played.astype(int)).max() > 1000, "the reply was not heard"
