"""Wire 2, the event bus `/ws`: print each event, and switch a module."""

import argparse
import json

from websockets.sync.client import connect

MODULES = ("vision", "audio", "tactile", "action")

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--url", default="ws://localhost:4000/ws", help="the bus (%(default)s)")
parser.add_argument("--on", choices=MODULES, help="switch this module on")
parser.add_argument("--off", choices=MODULES, help="switch this module off: audio mutes every ear")
parser.add_argument("--tell", metavar="TYPE", help="send an event of this type to all clients")
parser.add_argument("--seconds", type=float, help="seconds to watch, instead of until Ctrl-C")
args = parser.parse_args()

with connect(args.url) as socket:
    for module, enabled in ((args.on, True), (args.off, False)):
        if module:
            switch = {"type": "module_control", "module": module, "enabled": enabled}
            socket.send(json.dumps(switch))
    if args.tell:
        socket.send(json.dumps({"type": args.tell, "data": {"from": "example"}}))
    socket.send(json.dumps({"type": "ping"}))
    try:
        while True:
            event = json.loads(socket.recv(timeout=args.seconds))
            print(event.get("type"), event.get("data", event), flush=True)
    except (TimeoutError, KeyboardInterrupt):
        pass
