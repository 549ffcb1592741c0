"""The whole ear on a sound card: from a microphone to a loudspeaker, in real time."""

import signal
from pathlib import Path

import numpy as np
import pytest

from fakes.recordings import QUESTION, recording
from fakes.running_ear import RunningEar
from fakes.vmic import NEEDS_CARD, VirtualCard, vmic

pytestmark = NEEDS_CARD


@pytest.fixture
def card(tmp_path: Path) -> VirtualCard:
    return vmic(tmp_path, recording(QUESTION))


def test_a_question_at_the_microphone_is_answered_from_the_loudspeaker(tmp_path, card):
    options = ("--with-backend", "--log-transcripts")
    with RunningEar(tmp_path, card.environment, *options) as ear:
        ear.wait_for(": done")
        ear.signal(signal.SIGTERM)
        assert ear.wait_ended() == 0, ear.told()
    log = ear.told()
    assert 'understood "what time is it"' in log
    assert "lost" not in log
    played = np.frombuffer(card.played.read_bytes(), np.int16)
    assert np.abs(played.astype(int)).max() > 1000, "the reply was not heard"
