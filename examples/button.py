#!/usr/bin/python3
"""A button of an input device: pressed, the ear listens; held for a second, it is muted or unmuted.

button.py /dev/input/by-path/platform-button@11-event [--key 148]
"""

import argparse
import struct
import subprocess
import sys
from pathlib import Path

EVENT = struct.Struct("@llHHi")
"""struct input_event of the kernel: seconds, microseconds, type, code, value."""

KEY, RELEASED, PRESSED = 1, 0, 1
HELD_S = 1.0

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("device", type=Path, help="the input device of the button, below /dev/input")
parser.add_argument("--key", type=int, help="code of the key, if the device has others too")
args = parser.parse_args()
pressed_s = None
try:
    with args.device.open("rb", buffering=0) as device:
        while data := device.read(EVENT.size):
            seconds, microseconds, kind, code, value = EVENT.unpack(data)
            if kind != KEY or args.key not in (None, code):
                continue
            now_s = seconds + microseconds / 1e6
            if value == PRESSED:
                pressed_s = now_s
            elif value == RELEASED and pressed_s is not None:
                verb = "toggle" if now_s - pressed_s >= HELD_S else "listen"
                subprocess.run(["jarvis-ear", verb], check=False)  # noqa: S603, S607 - ours, by PATH
                pressed_s = None
except OSError as error:
    sys.exit(f"{args.device}: {error.strerror}")
sys.exit(f"{args.device} is gone")
