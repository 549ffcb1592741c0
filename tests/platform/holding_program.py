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
    stream, _, rate = PortAudio().open_input("", rate=16_000, latency_s=0.2)
    pause, until = threading.Event(), time.monotonic() + LONG_S
    while stream.read_available < rate // 20:
        pause.wait(0.005)
    stream.read(137)  # in the middle of whatever the server sends at a time
    print("held", flush=True)  # noqa: T201 - whoever started us waits for it
    sys.stdin.readline()
    try:
        while time.monotonic() < until:
            _ = stream.read_available
            pause.wait(0.02)
    except StreamFailed:
        stream.close()
        print("lost", flush=True)  # noqa: T201 - likewise


main()
