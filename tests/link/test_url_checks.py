import pytest

from jarvis_ear.link.tls_and_tcp import address, is_exposed


@pytest.mark.parametrize(
    ("url", "exposed"),
    [
        ("http://localhost:4000", False),
        ("ws://127.0.0.1:8000/ws", False),
        ("ws://[::1]:8000/ws", False),
        ("http://192.168.1.20:4000", True),
        ("ws://kitchen.local/ws", True),
        ("https://192.168.1.20", False),
        ("wss://kitchen.local/ws", False),
    ],
)
def test_what_can_be_read_on_the_way(url, exposed):
    assert is_exposed(url) is exposed


def test_an_address_holds_no_password():
    assert address("wss://me:secret@kitchen.local:8000/ws?token=1") == "wss://kitchen.local:8000"
