"""What the bus has yet to be told: bounded, the oldest goes, and it is counted."""

from jarvis_ear.bus.session import QUEUE_EVENTS, BusQueue
from jarvis_ear.wires.event_bus import Event


def test_in_order():
    queue = BusQueue()
    assert queue.take() is None
    queue.put(Event("a"))
    queue.put(Event("b"))
    assert [queue.take(), queue.take(), queue.take()] == [Event("a"), Event("b"), None]
    assert queue.dropped == 0


def test_the_oldest_goes_and_is_counted():
    queue = BusQueue()
    for number in range(QUEUE_EVENTS + 3):
        queue.put(Event(str(number)))
    assert queue.dropped == 3
    assert queue.take() == Event("3")


def test_whoever_listens_is_woken_until_they_stop():
    queue = BusQueue()
    woken = []
    queue.listen(lambda: woken.append(1))
    queue.put(Event("a"))
    queue.unlisten()
    queue.put(Event("b"))
    assert woken == [1]
