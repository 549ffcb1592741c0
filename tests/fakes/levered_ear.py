"""The whole ear as a program, with levers: a file in the folder ``$LEVERS`` breaks one part of it.

Nothing of this is in the product: its methods are wrapped here.
"""

import os
import socket
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from jarvis_ear import __main__ as program
from jarvis_ear import cli, components
from jarvis_ear.devices.openwakeword import OpenWakeWord
from jarvis_ear.hearing import wake_detector
from jarvis_ear.hearing.ear_thread import EarThread
from jarvis_ear.link.sender import Sender
from jarvis_ear.units import samples

LEVERS: Final = "LEVERS"
"""The variable that names the folder."""

HASTY_S: Final = 2.0
"""Seconds after which a part counts as hung, when the lever ``hasty`` is pulled at the start."""

PAUSE_S: Final = 0.02
"""How often a part that hangs looks whether its lever is still there."""


def is_pulled(lever: str) -> bool:
    return Path(os.environ[LEVERS], lever).exists()


def wrap(owner: object, name: str, around: Callable[[Callable[..., Any]], Any]) -> None:
    setattr(owner, name, around(getattr(owner, name)))


def hanging(lever: str) -> Callable[[Callable[..., Any]], Any]:

    def around(inner: Callable[..., Any]) -> Any:
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            pause = threading.Event()
            while is_pulled(lever):
                pause.wait(PAUSE_S)
            return inner(*args, **kwargs)

        return wrapped

    return around


def unresolved(inner: Callable[..., Any]) -> Any:

    def wrapped(host: Any, *args: Any, **kwargs: Any) -> Any:
        if is_pulled("resolver") and host is not None:
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        return inner(host, *args, **kwargs)

    return wrapped


def senseless(inner: Callable[..., Any]) -> Any:
    """Answer with what is no number, while the lever is pulled."""

    def wrapped(*args: Any) -> Any:
        scores = inner(*args)
        return [float("nan")] * len(scores) if is_pulled("model") else scores

    return wrapped


def main() -> int:
    if is_pulled("hasty"):
        components.HANGS_S = HASTY_S  # type: ignore[misc]  # the product's is final
    if is_pulled("restless"):
        wake_detector.PROOF = samples(5000)  # type: ignore[misc]  # likewise
        components.PROOF_S = 5  # type: ignore[attr-defined]  # likewise
    wrap(EarThread, "_process", hanging("ear"))
    wrap(Sender, "wake", hanging("network"))
    wrap(Sender, "_step", hanging("network"))
    wrap(OpenWakeWord, "score", senseless)
    wrap(OpenWakeWord, "__init__", hanging("load"))
    wrap(socket, "getaddrinfo", unresolved)
    return cli.main(run=program.run)


if __name__ == "__main__":
    sys.exit(main())
