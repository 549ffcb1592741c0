"""What test_pulse.py runs: it reads a piece of what has come, and leaves the rest for later.

It says "held", waits for a line on standard input, and goes on until the device fails.
"""

import sys
import threading
import time

from jarvis_ear.devices.portaudio import PortAudio
from jarvis_ear.devices.sound_library import StreamFailed

LONG_S = 10.0


def main() -> None:
    library = PortAudio(sleep=lambda _seconds: None)
    stream = library.open_input("", rate=16_000, latency_s=1.0)
    pause, until = threading.Event(), time.monotonic() + LONG_S
    while not stream.take(stream.rate // 20, 137).data:  # amid what the server sends at a time
        pause.wait(0.005)
    print("held", flush=True)  # noqa: T201 - the test waits for it
    sys.stdin.readline()
    try:
        while time.monotonic() < until:
            stream.take(60 * stream.rate, 137)  # looks, and takes nothing
            pause.wait(0.02)
    except StreamFailed:
        stream.close()
        print("lost", flush=True)  # noqa: T201 - likewise


main()
