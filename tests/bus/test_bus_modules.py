from jarvis_ear.bus.session import BusModules
from jarvis_ear.wires import event_bus as wire


def test_the_last_word_on_each_module_counts():
    modules = BusModules()
    for module, enabled in [("vision", False), ("action", True), ("vision", True)]:
        modules.note(wire.status_changed(module, enabled=enabled, now_s=0))
    assert modules.known == {"vision": True, "action": True}


def test_other_words_do_not():
    modules = BusModules()
    modules.note(wire.BusPing())
    modules.note(wire.Event("wake", {"module": "vision", "enabled": False}))
    modules.note(wire.Event("module_status_changed", {"module": "vision"}))
    modules.note(wire.status_changed("audio", enabled=False, now_s=0))
    assert modules.known == {}
