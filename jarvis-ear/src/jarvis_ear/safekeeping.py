"""Safekeeping: where sentences wait while the ear runs."""

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager

from jarvis_ear import config
from jarvis_ear.system import places
from jarvis_ear.system.boot_clock import BootClock
from jarvis_ear.system.ledger import Ledger
from jarvis_ear.system.spool import DiskSpool
from jarvis_ear.transports.spool import NoSpool, Spool


@contextmanager
def kept_spool(options: config.Spool) -> Iterator[Spool]:
    """Take the folder in which sentences wait: whoever comes second has to be told at once."""
    if not options.enabled:
        yield NoSpool()
        return
    clock = BootClock.of_this_machine()
    ledger = Ledger(options.ledger_dir or places.state_folder(os.environ), clock)
    spool = DiskSpool(options.dir or places.spool_folder(os.environ), ledger, clock)
    with closing(spool):
        spool.lock()
        yield spool
