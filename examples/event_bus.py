"""Wire 2, the event bus `/ws`: watch what happens, and switch a module if you like."""

import argparse
import json

from websockets.sync.client import connect

MODULES = ("vision", "audio", "tactile", "action")

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--url", default="ws://localhost:4000/ws", help="the bus (%(default)s)")
parser.add_argument("--on", choices=MODULES, help="switch this module on")
parser.add_argument("--off", choices=MODULES, help="switch this module off: audio mutes every ear")
parser.add_argument("--tell", metavar="TYPE", help="tell everybody of an event of this type")
parser.add_argument("--seconds", type=float, help="watch so long, instead of until Ctrl-C")
args = parser.parse_args()

with connect(args.url) as line:
    for module, enabled in ((args.on, True), (args.off, False)):
        if module:
            switch = {"type": "module_control", "module": module, "enabled": enabled}
            line.send(json.dumps(switch))
    if args.tell:
        line.send(json.dumps({"type": args.tell, "data": {"from": "example"}}))
    line.send(json.dumps({"type": "ping"}))
    try:
        while True:
            event = json.loads(line.recv(timeout=args.seconds))
            print(event.get("type"), event.get("data", event), flush=True)
    except (TimeoutError, KeyboardInterrupt):
        pass
