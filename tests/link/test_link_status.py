from jarvis_ear.delivery.events import LinkDown, LinkUp
from jarvis_ear.link.supervisor import LinkState, LinkStatus, Setback

URL = "http://localhost:4000"
REFUSED = (Setback.UNREACHABLE, "connection refused", "start it")
LOST = (Setback.UNREACHABLE, "link lost", "")


def test_the_first_success_has_no_duration():
    status = LinkStatus()
    assert (status.state, status.wait_tried(0)) == (LinkState.TRYING, False)
    assert status.reached(URL, 5.0) == LinkUp(URL, None)
    assert status.wait_tried(0)


def test_a_backend_that_was_never_there_is_reported_once():
    status = LinkStatus()
    assert status.failed(*REFUSED, 1.0) == LinkDown("connection refused")
    assert status.trouble == ("connection refused", "start it")
    assert status.failed(*REFUSED, 2.0) is None
    assert status.reached(URL, 3.0) == LinkUp(URL, None)
    assert status.trouble == ("", "")


def test_an_outage_is_reported_once_at_each_end():
    status = LinkStatus()
    status.reached(URL, 0.0)
    assert status.failed(*LOST, 10.0) == LinkDown("link lost")
    assert status.failed(*REFUSED, 11.0) is None
    assert status.reached(URL, 14.5) == LinkUp(URL, 4.5)


def test_a_planned_end_is_not_reported():
    status = LinkStatus()
    status.reached(URL, 0.0)
    status.replaced(10.0)
    assert status.state is LinkState.DISCONNECTED
    assert status.reached(URL, 10.1) is None


def test_a_planned_end_without_a_new_link_is_an_outage_from_its_beginning():
    status = LinkStatus()
    status.reached(URL, 0.0)
    status.replaced(10.0)
    assert status.failed(*REFUSED, 10.1) == LinkDown("connection refused")
    assert status.reached(URL, 12.0) == LinkUp(URL, 2.0)


def test_after_a_reload_it_starts_again():
    status = LinkStatus()
    status.reached(URL, 0.0)
    status.failed(Setback.REJECTED, "wrong password", "", 1.0)
    assert status.state is LinkState.AUTH_FAILED
    status.forget()
    assert (status.state, status.trouble) == (LinkState.TRYING, ("", ""))
    assert status.reached(URL, 5.0) == LinkUp(URL, None)
