"""Multicast: datagrams between the ears of one local network."""

import asyncio
import socket
import struct
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from jarvis_ear.rooms.claim import MAX_DATAGRAM

GROUP: Final = "239.255.74.69"
"""The multicast address, from the range for one site (RFC 2365)."""

PORT: Final = 4889
"""The UDP port; the unit of the service allows this one."""

MAX_AT_ONCE: Final = 64
"""Datagrams that are read before other work of the loop: more is a flood."""

_HOPS: Final = 1  # routers pass nothing on


class Multicast:
    """A socket on all interfaces of this machine. Owned by one event loop.

    ``on_datagram`` gets each datagram with the address of its sender, in the loop. The machine's
    own datagrams come back, for a second ear on it.
    """

    def __init__(self, on_datagram: Callable[[bytes, str], None], port: int = PORT) -> None:
        self._on_datagram = on_datagram
        self._port = port
        self._socket: socket.socket | None = None
        self._joined: set[int] = set()

    @property
    def is_open(self) -> bool:
        """Whether the socket is open."""
        return self._socket is not None

    def open(self) -> None:
        """Open the socket if it is not open, and join on new interfaces. Raises OSError."""
        if self._socket is None:
            self._socket = self._bind()
            asyncio.get_running_loop().add_reader(self._socket, self._read)
        here = _interfaces()
        self._joined &= here
        self._joined |= {each for each in here - self._joined if self._join(self._socket, each)}

    def send(self, datagram: bytes) -> bool:
        """Send on each interface; return whether one of them took it."""
        taken = [self._send(datagram, index) for index in tuple(self._joined)]
        return any(taken)

    def close(self) -> None:
        """Close the socket. Idempotent."""
        if self._socket is not None:
            asyncio.get_running_loop().remove_reader(self._socket)
            self._socket.close()
        self._socket = None
        self._joined.clear()

    def _bind(self) -> socket.socket:
        opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            opened.setblocking(False)  # noqa: FBT003 - the name says it
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            opened.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, _HOPS)
            opened.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_LOOP, 1)
            opened.bind((GROUP, self._port))  # nothing but this group reaches it
        except OSError:
            opened.close()
            raise
        return opened

    def _join(self, opened: socket.socket, index: int) -> bool:
        try:
            opened.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, _interface(index))
        except OSError:  # an interface without multicast, or one that has just gone
            return False
        return True

    def _send(self, datagram: bytes, index: int) -> bool:
        if self._socket is None:
            return False
        try:
            self._socket.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, _interface(index))
            self._socket.sendto(datagram, (GROUP, self._port))
        except OSError:  # an interface without an address, or a full buffer
            return False
        return True

    def _read(self) -> None:
        for _ in range(MAX_AT_ONCE):
            if self._socket is None:
                return
            try:
                datagram, sender = self._socket.recvfrom(MAX_DATAGRAM)
            except OSError:  # no more, or an error that an earlier datagram caused
                return
            self._on_datagram(datagram, str(sender[0]))


def _interfaces() -> set[int]:
    """Return the index of each interface; 0, for the default one, if the system does not say.

    if_nameindex(3) needs netlink, which the unit of the service does not allow.
    """
    found = set()
    for file in Path("/sys/class/net").glob("*/ifindex"):
        with suppress(OSError, ValueError):  # it has just gone
            found.add(int(file.read_text()))
    return found or {0}


def _interface(index: int) -> bytes:
    """Return ``struct ip_mreqn``: see ip(7)."""
    return struct.pack("4s4si", socket.inet_aton(GROUP), bytes(4), index)
