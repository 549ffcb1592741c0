#!/usr/bin/python3
"""Hook: show the state of the ear on a WLED light, the same command for every event."""

import argparse
import json
import sys
import urllib.error
import urllib.request

COLOURS = {
    "listening": [0, 60, 255],
    "capturing": [0, 180, 255],
    "thinking": [255, 120, 0],
    "speaking": [0, 255, 80],
    "muted": [255, 0, 0],
    "deaf": [80, 0, 0],
}
"""Red, green and blue of each event. At any other, the light goes out."""

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("url", help="address of the light, for example http://192.168.1.40")
args = parser.parse_args()
if not args.url.startswith(("http://", "https://")):
    parser.error("the address begins with http:// or https://")

event = json.load(sys.stdin)["event"]
colour = COLOURS.get(event)
state = {"on": True, "seg": [{"col": [colour]}]} if colour else {"on": False}
request = urllib.request.Request(  # noqa: S310 - checked above
    f"{args.url}/json/state", json.dumps(state).encode(), {"Content-Type": "application/json"}
)
try:
    urllib.request.urlopen(request, timeout=3).close()  # noqa: S310 - likewise
except (urllib.error.URLError, TimeoutError) as error:
    sys.exit(f"the light does not answer: {error}")
