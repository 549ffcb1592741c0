#!/usr/bin/python3
"""Hook: show the state of the ear on the LED ring of a ReSpeaker USB Mic Array (v2.0).

Needs python3-usb, and the right to write to the device. The same program for every state.
"""

import argparse
import importlib
import importlib.util
import json
import sys

argparse.ArgumentParser(description=__doc__).parse_args()
if importlib.util.find_spec("usb") is None:
    sys.exit("python3-usb is not installed: apt install python3-usb")
usb_core = importlib.import_module("usb.core")

VENDOR, PRODUCT = 0x2886, 0x0018
ONE_COLOUR, LISTEN, WAIT, SPEAK = 1, 2, 3, 4
"""Commands of the ring, as its maker documents them: docs/leds-and-buttons.md."""

VENDOR_OUT, RING = 0x40, 0x1C
SHOWN = {
    "listening": (LISTEN, [0]),
    "capturing": (LISTEN, [0]),
    "thinking": (WAIT, [0]),
    "speaking": (SPEAK, [0]),
    "muted": (ONE_COLOUR, [40, 0, 0, 0]),
    "deaf": (ONE_COLOUR, [40, 20, 0, 0]),
    "idle": (ONE_COLOUR, [0, 0, 0, 0]),
}

event = json.load(sys.stdin)["event"]
if event in SHOWN:
    ring = usb_core.find(idVendor=VENDOR, idProduct=PRODUCT)
    if ring is None:
        sys.exit("no ReSpeaker USB Mic Array is plugged in")
    command, data = SHOWN[event]
    try:
        ring.ctrl_transfer(VENDOR_OUT, 0, command, RING, data, 2000)
    except OSError as error:  # USBError is one
        sys.exit(f"the ring cannot be switched: {error}")
