"""What test_card.py runs with a virtual card: it captures until it is told to stop.

Every event is a JSON line on standard output; a line on standard input stops it.
"""

import json
import logging
import os
import sys
import threading
import time

from jarvis_ear import config
from jarvis_ear.devices.capture import Capture
from jarvis_ear.devices.sources import make_source
from jarvis_ear.hearing.inbox import Inbox


def tell(what: str, **more) -> None:
    sys.stdout.write(json.dumps({"what": what, "at": time.monotonic(), **more}) + "\n")
    sys.stdout.flush()


def main() -> None:
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
    inbox = Inbox()
    channel = os.environ.get("JARVIS_TEST_CHANNEL", "0")
    source = make_source(config.MicrophoneOptions(channel=channel))
    threading.Thread(target=lambda: (sys.stdin.readline(), inbox.close()), daemon=True).start()
    with Capture(
        source,
        inbox,
        on_lost=lambda reason: tell("lost", reason=reason),
        on_found=lambda: tell("found"),
        on_end=lambda error: tell("end", reason=str(error)),
    ):
        while not inbox.closed:
            block = inbox.get(0.25)
            if block is not None:
                tell("block", start=block.start, data=block.data.hex())
    threads = [thread.name for thread in threading.enumerate() if not thread.daemon]
    tell("stopped", threads=threads, gaps=source.gaps, cpu=sum(os.times()[:2]))


main()
