import logging

from jarvis_ear.devices.silence import SilenceLog
from jarvis_ear.journal.sound import MICROPHONE_SILENT


def test_silence_and_its_end_are_told(caplog):
    caplog.set_level(logging.INFO)
    log = SilenceLog()
    log.dead("microphone 'usb'", "microphone 'usb' gives only zeros", now=0.0)
    log.alive("microphone 'usb'", now=2.5)
    assert [(record.levelname, record.EVENT) for record in caplog.records] == [
        ("WARNING", "MicrophoneSilent"),
        ("INFO", "MicrophoneHeardAgain"),
    ]
    assert MICROPHONE_SILENT.message_id == caplog.records[0].MESSAGE_ID


def test_a_noise_gate_does_not_fill_the_journal(caplog):
    caplog.set_level(logging.INFO)
    log = SilenceLog()
    for at in range(0, 3600, 12):
        log.dead("microphone", "zeros", now=float(at))
        log.alive("microphone", now=float(at))
    assert 20 <= len(caplog.records) <= 24
