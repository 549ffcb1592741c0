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
from jarvis_ear.audio.frames import Block
from jarvis_ear.devices.capture import Capture
from jarvis_ear.devices.sources import make_source
from jarvis_ear.hearing.events import MicrophoneFound, MicrophoneLost
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
    capture = Capture(source, inbox, on_end=lambda error: tell("end", reason=str(error)))
    is_deaf = False  # an ear that hears ignores a found microphone
    with capture:
        while not inbox.closed:
            match inbox.get(0.25):
                case Block() as block:
                    tell("block", start=block.start, data=block.data.hex())
                case MicrophoneLost():
                    is_deaf = True
                    tell("lost", reason=capture.lost)
                case MicrophoneFound() if is_deaf:
                    is_deaf = False
                    tell("found")
    threads = [thread.name for thread in threading.enumerate() if not thread.daemon]
    tell("stopped", threads=threads, gaps=source.gaps, cpu=sum(os.times()[:2]))


main()
