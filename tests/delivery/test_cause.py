import pytest

from jarvis_ear.delivery.events import Cause, cause_of


@pytest.mark.parametrize(
    ("said", "cause"),
    [
        ("No audio received", Cause.NO_AUDIO),
        ("Could not understand audio", Cause.NOT_UNDERSTOOD),
        ("Whisper STT service not available", Cause.STT_UNAVAILABLE),
        ("fetch failed", Cause.STT_UNAVAILABLE),
        ('Whisper transcription failed (500): {"detail": "x"}', Cause.STT_FAILED),
        ("The operation was aborted due to timeout", Cause.BACKEND_TIMEOUT),
        ("500 llm failure", Cause.BACKEND_ERROR),
        ("", Cause.BACKEND_ERROR),
    ],
)
def test_the_backends_words_become_a_code(said, cause):
    assert cause_of(said) is cause


def test_codes_are_words_for_programs():
    assert all(each.value == each.value.lower() and " " not in each.value for each in Cause)
