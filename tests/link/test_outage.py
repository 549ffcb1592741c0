from jarvis_ear.delivery.events import LinkDown, LinkUp
from jarvis_ear.link.backoff import Outage

URL = "http://localhost:4000"


def test_the_first_success_is_told_without_a_duration():
    assert Outage(URL).reached(5.0) == LinkUp(URL, None)


def test_a_backend_that_was_never_there_is_missed_once():
    outage = Outage(URL)
    assert outage.failed("connection refused", 1.0) == LinkDown("connection refused")
    assert outage.failed("connection refused", 2.0) is None
    assert outage.reached(3.0) == LinkUp(URL, None)


def test_an_outage_is_told_once_at_each_end():
    outage = Outage(URL)
    outage.reached(0.0)
    assert outage.failed("link lost", 10.0) == LinkDown("link lost")
    assert outage.failed("connection refused", 11.0) is None
    assert outage.reached(14.5) == LinkUp(URL, 4.5)


def test_a_link_replaced_on_purpose_is_no_news():
    outage = Outage(URL)
    outage.reached(0.0)
    outage.replaced(10.0)
    assert outage.reached(10.1) is None


def test_a_replacement_that_fails_is_an_outage_from_its_beginning():
    outage = Outage(URL)
    outage.reached(0.0)
    outage.replaced(10.0)
    assert outage.failed("connection refused", 10.1) == LinkDown("connection refused")
    assert outage.reached(12.0) == LinkUp(URL, 2.0)
