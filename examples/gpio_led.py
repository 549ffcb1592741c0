#!/usr/bin/python3
"""Hook: switch an LED of this machine, for example hooks.idle = ["PATH/gpio_led.py", "off"]."""

import argparse
import importlib
import importlib.util
import sys
from pathlib import Path

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("to", choices=("on", "off"))
parser.add_argument("--line", type=int, metavar="N", help="GPIO line; needs python3-libgpiod")
parser.add_argument("--chip", default="/dev/gpiochip0", help="chip of the line (%(default)s)")
parser.add_argument("--led", default="jarvis", help="otherwise, an LED's name (%(default)s)")
parser.add_argument("--leds", default="/sys/class/leds", help="the LEDs (%(default)s)")
args = parser.parse_args()
is_on = args.to == "on"
led = Path(args.leds, args.led, "brightness")
has_gpiod = importlib.util.find_spec("gpiod") is not None

try:
    if args.line is not None and has_gpiod and Path(args.chip).exists():
        gpiod = importlib.import_module("gpiod")
        if hasattr(gpiod, "request_lines"):  # libgpiod 2
            output, value = gpiod.line.Direction.OUTPUT, gpiod.line.Value(int(is_on))
            made = gpiod.LineSettings(direction=output, output_value=value)
            gpiod.request_lines(
                args.chip, consumer="jarvis-ear", config={args.line: made}
            ).release()
        else:
            line = gpiod.Chip(args.chip).get_line(args.line)
            line.request(consumer="jarvis-ear", type=gpiod.LINE_REQ_DIR_OUT)
            line.set_value(int(is_on))
    elif led.exists():
        led.write_text(str(int(is_on)))
    else:
        sys.exit(f"no LED: neither {args.chip} with --line and python3-libgpiod, nor {led}")
except OSError as error:
    sys.exit(f"the LED cannot be switched: {error}")
