"""What runs in an ``EarProcess``: a ``BackendClient`` that obeys lines and writes lines."""

import json
import sys
import threading
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from fakes.ear import PASSWORD, timing
from fakes.listening import Listening
from fakes.numbered import numbered
from jarvis_ear.backend import BackendClient
from jarvis_ear.config import BackendOptions, WyomingOptions
from jarvis_ear.delivery.events import DeliveryEvent, ReplyAudio
from jarvis_ear.spool.ledger import Ledger
from jarvis_ear.spool.store import BootClock, DiskSpool

_LOCK = threading.Lock()


def write(event: str, **values: Any) -> None:
    line = json.dumps({"event": event, "at": time.clock_gettime(time.CLOCK_BOOTTIME), **values})
    with _LOCK:
        sys.stdout.write(line + "\n")
        sys.stdout.flush()


def tell(event: DeliveryEvent) -> None:
    """Pass on what became of an utterance: all but its sound."""
    values = {} if isinstance(event, ReplyAudio) else asdict(event)
    write(type(event).__name__, **values)


def make(options: dict[str, Any]) -> BackendClient:
    """Make the client as the daemon makes its own."""
    folder = options.pop("folder", None)
    run, state = (options.pop(name, f"{folder}/{name}") for name in ("run", "state"))
    spool = None if folder is None else make_spool(Path(run), Path(state))
    times_faster = options.pop("times_faster", 1.0)
    if port := options.pop("listens_on", None):  # for a server that connects to the ear
        options["wyoming"] = WyomingOptions(uri=f"tcp://127.0.0.1:{port}")
    config = BackendOptions(url=options.pop("url"), password=SecretStr(PASSWORD))
    return BackendClient(
        config.model_copy(update=options), on_event=tell, timing=timing(times_faster), spool=spool
    )


def make_spool(run: Path, state: Path) -> DiskSpool:
    clock = BootClock.of_this_machine()
    spool = DiskSpool(run, Ledger(state, clock), clock)
    spool.lock()
    return spool


def obey(client: BackendClient, command: dict[str, Any]) -> None:
    match command.pop("do"):
        case "say":
            say(client, **command)
        case "abandon":
            client.abandon(command["turn"])
        case "hold":
            client.hold(command["turn"], goes_on=command["goes_on"])
        case "release":
            client.release(command["turn"])
        case "supersede":
            client.supersede(command["turn"], command["by"])
        case "counters":
            write("counters", **client.counters())
        case unknown:
            raise ValueError(f"unknown command {unknown!r}")


def say(
    client: BackendClient,
    turn: str,
    number: int,
    samples: int = 8000,
    lasts_s: float = 0.0,
    *,
    goes_on: bool = False,
) -> None:
    """Speak as the ear hears it: most of it while it is said, the whole of it at the end.

    With ``goes_on``, the turn is held at once, because its sentence continues.
    """
    pcm = numbered(number, samples)
    if lasts_s:
        client.extend(turn, 0, pcm[: len(pcm) // 2])
        write("speaking", turn=turn)
        threading.Event().wait(lasts_s)
    client.send_audio(pcm, turn_id=turn)
    if goes_on:
        client.hold(turn, goes_on=True)
    write("said", turn=turn)


def main() -> None:
    listening = Listening(on_lost=lambda lost: write("lost", **lost))
    with make(json.loads(sys.argv[1])) as client, listening:
        for line in sys.stdin:
            obey(client, json.loads(line))


if __name__ == "__main__":
    main()
