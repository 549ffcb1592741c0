from jarvis_ear.devices.digital_silence import Change, DigitalSilence

SECOND = bytes(32_000)


def test_ten_seconds_of_zeros_are_said_once():
    silence = DigitalSilence()
    assert [silence.hear(SECOND) for _ in range(9)] == [None] * 9
    assert silence.hear(SECOND) is Change.DEAD
    assert silence.hear(SECOND) is None


def test_one_bit_is_life():
    silence = DigitalSilence()
    for _ in range(9):
        silence.hear(SECOND)
    assert silence.hear(bytes(31_999) + b"\1") is None
    assert [silence.hear(SECOND) for _ in range(9)] == [None] * 9


def test_life_after_silence_is_said_once():
    silence = DigitalSilence()
    for _ in range(12):
        silence.hear(SECOND)
    assert silence.hear(b"\1\0") is Change.ALIVE
    assert silence.hear(b"\1\0") is None


def test_any_value_that_never_changes_is_as_dead():
    silence = DigitalSilence()
    assert [silence.hear(b"\7\0" * 16_000) for _ in range(10)] == [None] * 9 + [Change.DEAD]
    assert silence.value == 7
    assert silence.hear(SECOND) is Change.ALIVE
    assert [silence.hear(SECOND) for _ in range(9)] == [None] * 8 + [Change.DEAD]


def test_no_sound_says_nothing():
    assert DigitalSilence().hear(b"") is None
