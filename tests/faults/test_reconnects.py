"""Two hundred connections leave nothing behind."""

from fakes.ear import EarProcess
from fakes.voice_server import Switches, VoiceServer, wait_until

RECONNECTS = 200
GROWTH_KIB = 2 * 1024
WARM = 20
"""Reconnects until everything has been imported and every cache is filled."""


def test_two_hundred_reconnects(tmp_path):
    with VoiceServer(tmp_path, Switches(reply="silent")) as server, EarProcess(server.url) as ear:
        ear.wait("LinkUp")
        replace_links(server, ear, range(WARM))
        had = ear.threads(), ear.files(), ear.resident_kib()
        replace_links(server, ear, range(WARM, WARM + RECONNECTS - 4))
        for _ in range(4):
            server.kick()
            ear.wait("LinkUp")
        replace_links(server, ear, [999])
        wait_until(lambda: (ear.threads(), ear.files()) == had[:2])
        assert ear.resident_kib() - had[2] <= GROWTH_KIB
        assert len(server.received("connect")) > WARM + RECONNECTS


def replace_links(server, ear, numbers):
    """Give up a turn: each costs a connection, and the next comes at once."""
    for number in numbers:
        had = len(server.received("connect"))
        ear.tell(do="say", turn=f"{number:08x}", number=number)
        ear.wait("ProcessingStarted")
        ear.tell(do="abandon", turn=f"{number:08x}")
        ear.wait("Finished")
        wait_until(lambda before=had: len(server.received("connect")) > before)
