"""A fake voice server in a process of its own, which misbehaves on demand.

``with VoiceServer(tmp_path) as server: ...`` starts it on a port that stays the same over
``kill`` and ``start``; ``server.switches`` says how it behaves from the next start on. What it
executes is in its log before anything is answered.
"""

import ctypes
import json
import logging
import os
import signal
import socket
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from types import ModuleType
from typing import Any, Final, Self
from unittest.mock import patch

from fakes.blackhole import BlackHole
from fakes.socketio_voice import SocketIoVoice
from fakes.voice_service import Switches
from fakes.websocket_voice import RealtimeVoice, SessionVoice, VoiceWsVoice
from fakes.wyoming_voice import WyomingVoice

__all__ = ["VOICES", "Switches", "VoiceServer", "free_port", "wait_until"]

VOICES: Final = {
    "socketio": SocketIoVoice,
    "voice-ws": VoiceWsVoice,
    "session": SessionVoice,
    "realtime": RealtimeVoice,
    "wyoming": WyomingVoice,
}
"""By the name of the wire. The last one connects to the ear, at its port."""

PROCESSES: Final = get_context("forkserver")
"""Forks from a process that has imported the libraries already."""

_STARTS: Final = threading.Lock()

CLONE_NEWNET: Final = 0x4000_0000


class VoiceServer:
    """Starts, kills and stops the server. Used by one test; its methods wait, within a deadline."""

    def __init__(
        self,
        folder: Path,
        switches: Switches | None = None,
        *,
        wire: str = "socketio",
        there: BlackHole | None = None,
        host: str = "127.0.0.1",
        port: int | None = None,
    ) -> None:
        folder.mkdir(exist_ok=True)
        self.switches = switches or Switches()
        self.port = free_port() if port is None else port
        self._wire = wire
        self._namespace = "" if there is None else there.namespace
        self._host = host if there is None else there.there
        self._log = folder / f"server-{self.port}.jsonl"
        self._process: Any = None

    @property
    def url(self) -> str:
        return f"http://{self._host}:{self.port}"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def start(self, **changes: Any) -> None:
        """Start it, with the switches changed, and wait until it listens."""
        self.switches = replace(self.switches, **changes)
        options = (self.switches, self._log, (self._host, self.port))
        how = (VOICES[self._wire], options, self._namespace)
        self._process = PROCESSES.Process(target=_serve, args=how, daemon=True)
        with _importable():
            self._process.start()
        wait_until(self._listens)

    def kill(self) -> None:
        """SIGKILL: it closes no connection."""
        self._end(signal.SIGKILL)

    def terminate(self) -> None:
        """SIGTERM: an orderly end, as of a container that is stopped."""
        self._end(signal.SIGTERM)

    def wait_dead(self) -> None:
        if self._process is not None:
            self._process.join(15)

    def pause(self) -> None:
        """SIGSTOP: the kernel still accepts data, but the process does not read any more."""
        self._signal(signal.SIGSTOP)
        wait_until(self._is_paused)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    def control(self, order: str) -> None:
        """Have a Socket.IO server ``kick`` or ``close`` every client."""
        with urllib.request.urlopen(f"{self.url}/control/{order}", timeout=5) as answer:
            answer.read()

    def kick(self) -> None:
        """Have a Socket.IO server disconnect every client from its namespace."""
        self.control("kick")

    def received(self, event: str | None = None) -> list[dict[str, Any]]:
        """What it has received so far, over all its lives; ``at`` is in s of CLOCK_BOOTTIME."""
        if not self._log.exists():
            return []
        lines = [json.loads(line) for line in self._log.read_text().splitlines()]
        return [line for line in lines if event is None or line["event"] == event]

    def numbers(self) -> list[int | None]:
        return [line["number"] for line in self.received("run")]

    def _end(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._signal(number)
            self.wait_dead()
            self._process.close()
            self._process = None

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.is_alive():
            os.kill(self._process.pid, number)

    def _is_paused(self) -> bool:
        """Whether the kernel has stopped it: after the signal it may run on for a moment."""
        status = Path(f"/proc/{self._process.pid}/stat").read_text()
        return status.rpartition(") ")[2].startswith("T")

    def _listens(self) -> bool:
        if VOICES[self._wire] is WyomingVoice:  # it listens nowhere
            return True
        try:
            socket.create_connection((self._host, self.port), 1).close()
        except OSError:
            return False
        return True


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until(condition: Callable[[], Any], within_s: float = 10.0) -> None:
    """Poll ``condition`` of another process until it holds, or fail."""
    ends = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < ends, f"not within {within_s} s: {condition}"
        time.sleep(0.01)


@contextmanager
def _importable() -> Iterator[None]:
    """Let the new process import what this one can, but not the main module of this one."""
    with _STARTS:  # in two threads at once, one would restore what the other has changed
        PROCESSES.set_forkserver_preload([__name__])
        main = sys.modules["__main__"]
        sys.modules["__main__"] = ModuleType("__main__")
        try:
            with patch.dict(os.environ, PYTHONPATH=os.pathsep.join(filter(None, sys.path))):
                yield
        finally:
            sys.modules["__main__"] = main


def _serve(voice: type[Any], options: tuple[Any, ...], namespace: str) -> None:
    """Serve until SIGTERM, in the process of a ``VoiceServer``."""
    logging.disable()  # of clients that are gone: that is what it is for
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    if namespace:
        _enter(namespace)
    with voice(*options):
        signal.sigwait({signal.SIGTERM})


def _enter(namespace: str) -> None:
    with Path("/run/netns", namespace).open() as file:
        failed = ctypes.CDLL(None, use_errno=True).setns(file.fileno(), CLONE_NEWNET)
        assert not failed, os.strerror(ctypes.get_errno())
