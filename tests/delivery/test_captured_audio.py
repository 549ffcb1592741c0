from dataclasses import FrozenInstanceError

import pytest

from jarvis_ear.delivery.utterance import CapturedAudio


def test_it_is_a_value_that_nobody_changes():
    captured = CapturedAudio(b"\x00\x01", "t1", 12.5)
    assert captured == CapturedAudio(b"\x00\x01", "t1", 12.5)
    with pytest.raises(FrozenInstanceError):
        captured.spoken_at = 99.0
