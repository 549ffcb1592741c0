import threading

import pytest

from jarvis_ear.devices import library_lock
from jarvis_ear.devices.library_lock import LibraryBusy, LibraryLock


def test_one_thread_at_a_time():
    lock, inside, most = LibraryLock(), [], []

    def visit():
        for _ in range(200):
            with lock:
                inside.append(1)
                most.append(len(inside))
                inside.pop()

    visitors = [threading.Thread(target=visit) for _ in range(4)]
    for one in visitors:
        one.start()
    for one in visitors:
        one.join()
    assert max(most) == 1
    assert len(most) == 800


def test_nobody_waits_for_ever(monkeypatch):
    monkeypatch.setattr(library_lock, "LOCK_S", 0.01)
    lock = LibraryLock()
    with lock, pytest.raises(LibraryBusy, match=r"within 0\.01 s"), lock:
        pass
    with lock:
        pass
