from dataclasses import replace

import pytest

from jarvis_ear.hearing.events import State
from jarvis_ear.systemd.status_text import Condition, status

IDLE = Condition(State.IDLE)
DEAF = replace(IDLE, state=State.DEAF, hearing=False)
MUTED = replace(DEAF, state=State.MUTED)
START = replace(IDLE, hearing=False, proofs=0)


@pytest.mark.parametrize(
    ("condition", "words"),
    [
        (IDLE, "listening"),
        (START, "starting: the wake model is not warm yet"),
        (replace(START, proofs=1), "waiting for the microphone"),
        (replace(START, proofs=1, stuck=("sound",)), "waiting for the microphone"),
        (replace(IDLE, state=State.LISTENING), "heard the wake word"),
        (replace(IDLE, state=State.CAPTURING), "capturing an utterance"),
        (replace(IDLE, state=State.THINKING), "thinking"),
        (replace(IDLE, state=State.SPEAKING), "speaking"),
        (replace(IDLE, state=State.FOLLOW_UP), "listening for a follow-up"),
        (DEAF, "deaf: no microphone"),
        (replace(DEAF, retry_s=4), "deaf: no microphone, retry in 4 s"),
        (
            replace(DEAF, lost="no input device matches 'USB'; there are: ...", retry_s=0.5),
            "deaf: no microphone (no input device matches 'USB'), retry in 1 s",
        ),
        (
            replace(DEAF, silence="usb gives only zeros: muted?"),
            "deaf: usb gives only zeros: muted?",
        ),
        (replace(DEAF, silence="zeros", lost="gone"), "deaf: no microphone (gone)"),
        (replace(DEAF, silence="x" * 300), f"deaf: {'x' * 117}..."),
        (MUTED, "muted"),
        (replace(IDLE, muted_by=("owner",)), "muted by the owner"),
        (replace(MUTED, muted_by=("clock", "owner")), "muted by the clock and the owner"),
        (
            replace(MUTED, muted_by=("clock",), muted_until="07:00"),
            "muted by the clock until 07:00",
        ),
        (replace(IDLE, backend="backend away since 12:03"), "listening, backend away since 12:03"),
        (
            replace(IDLE, speaker="no output device matches 'USB'; there are: 0 'box'"),
            "listening, no loudspeaker (no output device matches 'USB')",
        ),
        (replace(IDLE, stuck=("ear thread", "sound")), "listening, stuck: ear thread, sound"),
        (replace(IDLE, reload="2 mistakes"), "listening; 2 mistakes"),
    ],
)
def test_status_text(condition, words):
    assert status(condition) == words


def test_a_long_reason_is_truncated():
    words = status(replace(DEAF, lost="x" * 1000 + "\nmore"))
    assert len(words) < 150
    assert words.endswith("xxx...)")


@pytest.mark.parametrize("state", State)
def test_every_state_has_a_text(state):
    assert status(replace(IDLE, state=state))


@pytest.mark.parametrize(
    ("condition", "ready"),
    [
        (START, False),
        (replace(START, proofs=1), False),
        (replace(START, hearing=True), False),
        (IDLE, True),
        (DEAF, True),
        (MUTED, True),
        (replace(MUTED, proofs=0), False),
    ],
)
def test_when_the_service_is_ready(condition, ready):
    assert condition.is_ready is ready
