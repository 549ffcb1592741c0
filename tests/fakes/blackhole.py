"""A network of two hosts that can be cut: the other one lives in a namespace of its own."""

import itertools
import os
import subprocess
from pathlib import Path
from typing import Self

_IP = "/usr/sbin/ip"
_NUMBERS = itertools.count()
"""The kernel takes a while to let go of a name."""
_PROBE = f"probe{os.getpid()}"


def missing_rights() -> str | None:
    """Say why there can be no such network here, if there can be none."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    if not Path(_IP).exists():
        return "network namespaces need the ip command"
    probe = subprocess.run(
        [_IP, "netns", "add", f"probe{os.getpid()}"], check=False, capture_output=True
    )
    if probe.returncode != 0:
        return f"no network namespaces: {probe.stderr.decode().strip()}"
    subprocess.run([_IP, "netns", "del", _PROBE], check=True)
    return None


class BlackHole:
    """Two addresses with a wire between them. One test makes and removes it; root only."""

    def __init__(self) -> None:
        mark = f"{os.getpid() % 10**6}-{next(_NUMBERS)}"
        self.namespace = f"jarvis{mark}"
        self.here = "10.213.77.1"
        self.there = "10.213.77.2"
        self._near = f"jn{mark}"
        self._far = f"jf{mark}"

    def __enter__(self) -> Self:
        _ip("netns", "add", self.namespace)
        _ip("link", "add", self._near, "type", "veth", "peer", self._far, "netns", self.namespace)
        _ip("addr", "add", f"{self.here}/30", "dev", self._near)
        _ip("link", "set", self._near, "up")
        self._inside("addr", "add", f"{self.there}/30", "dev", self._far)
        self._inside("link", "set", self._far, "up")
        self._inside("link", "set", "lo", "up")
        return self

    def __exit__(self, *_: object) -> None:
        _ip("netns", "del", self.namespace)  # and with it the wire

    def cut(self) -> None:
        """Drop every packet, both ways, silently."""
        self._inside("link", "set", self._far, "down")

    def mend(self) -> None:
        self._inside("link", "set", self._far, "up")

    def _inside(self, *words: str) -> None:
        _ip("-n", self.namespace, *words)


def _ip(*words: str) -> None:
    subprocess.run([_IP, *words], check=True, capture_output=True)
