from jarvis_ear.bus.session import BusSession
from jarvis_ear.delivery.timeouts import Timing
from jarvis_ear.link.mailbox import Mailbox
from jarvis_ear.wires import event_bus as wire


def test_the_last_word_on_each_module_counts():
    session = BusSession(Mailbox(1), None, Timing(), lambda _by: None)
    for module, enabled in [("vision", False), ("action", True), ("vision", True)]:
        session.note(wire.status_changed(module, enabled=enabled, now_s=0))
    assert session.modules == {"vision": True, "action": True}


def test_other_words_do_not():
    session = BusSession(Mailbox(1), None, Timing(), lambda _by: None)
    session.note(wire.BusPing())
    session.note(wire.Event("wake", {"module": "vision", "enabled": False}))
    session.note(wire.Event("module_status_changed", {"module": "vision"}))
    session.note(wire.status_changed("audio", enabled=False, now_s=0))
    assert session.modules == {}
