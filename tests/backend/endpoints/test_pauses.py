import pytest

from jarvis_backend.endpoints.speaking import Pauses

MS = 32  # bytes of sound
ONE, OTHER, SILENCE = b"\1", b"\2", b"\0"


class Gate:
    """Takes for speech what is not silence."""

    def is_speech(self, frame, _rate):
        return any(frame)


@pytest.fixture
def pauses():
    made = Pauses(1.0)
    made._gate = Gate()
    return made


def test_an_utterance_ends_where_the_person_pauses(pauses):
    [heard] = pauses.hear(ONE * 160 * MS + SILENCE * 1000 * MS)
    assert heard == ONE * 160 * MS + SILENCE * 800 * MS


@pytest.mark.parametrize("step", [640, 12_345, 1_000_000])
def test_what_follows_a_full_one_is_left_out_until_the_next_pause(pauses, step):
    said = ONE * 1400 * MS + SILENCE * 1000 * MS + OTHER * 500 * MS + SILENCE * 1000 * MS
    heard = [u for at in range(0, len(said), step) for u in pauses.hear(said[at : at + step])]
    assert [len(heard), len(heard[0])] == [2, 1000 * MS]
    assert ONE not in heard[1]
    assert heard[1].count(OTHER) == 500 * MS


def test_who_says_that_it_is_over_need_not_pause(pauses):
    assert len(list(pauses.hear(ONE * 1400 * MS))) == 1
    assert pauses.rest() == b""
    list(pauses.hear(OTHER * 500 * MS))
    assert pauses.rest() == OTHER * 500 * MS
