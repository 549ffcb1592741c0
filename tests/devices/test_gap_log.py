import logging

from jarvis_ear.devices.silence import GAP_EVERY_S, GapLog
from jarvis_ear.journal.sound import SOUND_LOST


def test_the_first_gap_is_told_at_once_and_the_others_together(caplog):
    gaps = GapLog()
    gaps.tell("microphone 'usb'", 40, now=0.0)
    for second in range(1, 600):
        gaps.tell("microphone 'usb'", 10, now=float(second))
    gaps.tell("microphone 'usb'", 7, now=GAP_EVERY_S)
    assert [record.LOST_MS for record in caplog.records] == [40, 5997]
    first = caplog.records[0]
    assert first.levelno == logging.WARNING
    assert SOUND_LOST.message_id == first.MESSAGE_ID
    assert first.getMessage() == "microphone 'usb' lost 40 ms of sound"
    assert SOUND_LOST.references <= set(vars(first))


def test_an_hour_of_nothing_but_gaps_is_six_lines(caplog):
    gaps = GapLog()
    for tenth in range(36_000):
        gaps.tell("microphone", 50, now=tenth / 10)
    assert len(caplog.records) == 6
