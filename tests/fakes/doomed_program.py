"""The ``ear_program`` that kills itself, without a word, at one point of the way of an utterance.

The option ``kill`` names the point: ``before`` or ``after`` one of ``POINTS``. Nothing of this is
in the product: its methods are wrapped here.
"""

import json
import os
import signal
import sys
from collections.abc import Callable
from typing import Any, Final

from fakes import ear_program
from jarvis_ear.delivery.utterance import Utterance
from jarvis_ear.link.connection import BackendLink
from jarvis_ear.link.socketio import SocketIoLink
from jarvis_ear.link.websocket import WebSocketLink
from jarvis_ear.link.wyoming import SatelliteLink
from jarvis_ear.paths import PrivateFolder
from jarvis_ear.spool import store
from jarvis_ear.spool.ledger import Ledger
from jarvis_ear.spool.store import DiskSpool
from jarvis_ear.wires.messages import ToBackend

POINTS: Final = (
    *("extend", "keep", "sound written", "moved to new"),
    *("mark held", "moved to held"),
    *("send AudioStart", "send AudioChunk", "send AudioPart", "mark sent", "moved to sent"),
    *("send AudioEnd", "told Sent", "mark taken", "moved to taken", "told ProcessingStarted"),
    *("told Transcribed", "told ReplyAudio", "finish", "ledger", "removed", "told Finished"),
)
"""The transitions of an utterance, in the order in which they come."""


class Doom:
    """Kills its own process at the point it was given."""

    def __init__(self, point: str) -> None:
        self._point = point

    def at(self, moment: str, point: str) -> None:
        """Die, if this is it."""
        if f"{moment} {point}" == self._point:
            os.kill(os.getpid(), signal.SIGKILL)

    def around(self, owner: object, name: str, point_of: Callable[..., str]) -> None:
        inner = getattr(owner, name)

        def wrapped(*args: Any, **kwargs: Any) -> Any:
            point = point_of(*args)
            self.at("before", point)
            outcome = inner(*args, **kwargs)
            self.at("after", point)
            return outcome

        setattr(owner, name, wrapped)

    def around_sending(self, kind: Any) -> None:
        """Make each message to the backend deadly before and after."""
        inner = kind.send

        async def wrapped(link: BackendLink, message: ToBackend) -> None:
            point = f"send {type(message).__name__}"
            self.at("before", point)
            await inner(link, message)
            self.at("after", point)

        kind.send = wrapped


def lay(doom: Doom) -> None:
    doom.around(DiskSpool, "extend", lambda *_: "extend")
    doom.around(DiskSpool, "keep", lambda *args: "keep" if isinstance(args[-1], Utterance) else "")
    doom.around(store, "write_all", lambda *_: "sound written")
    doom.around(DiskSpool, "set_state", lambda _spool, _turn, state: f"mark {state}")
    doom.around(PrivateFolder, "move", lambda _from, _name, to, *_: f"moved to {to.path.name}")
    doom.around(PrivateFolder, "remove", lambda folder, _: _removed(folder))
    doom.around(DiskSpool, "finish", lambda *_: "finish")
    doom.around(Ledger, "verdict", lambda *_: "ledger")
    doom.around_sending(SocketIoLink)
    doom.around_sending(WebSocketLink)
    doom.around_sending(SatelliteLink)
    doom.around(ear_program, "tell", lambda event: f"told {type(event).__name__}")


def _removed(folder: PrivateFolder) -> str:
    """A file that is taken away from where it lay until its end."""
    return "removed" if folder.path.name in {"sent", "taken"} else ""


if __name__ == "__main__":
    options = json.loads(sys.argv[1])
    lay(Doom(options.pop("kill")))
    sys.argv[1] = json.dumps(options)
    ear_program.main()
