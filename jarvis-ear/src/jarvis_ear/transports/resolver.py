"""ThreadResolver: names to addresses, asked anew for every link."""

import socket

from aiohttp.abc import AbstractResolver, ResolveResult

from jarvis_ear.transports.worker import Worker


class ThreadResolver(AbstractResolver):
    """Looks names up in a daemon thread: one that hangs keeps neither the loop nor the process."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Return the addresses of ``host``, or raise ``OSError``."""
        worker = Worker(
            "jarvis-ear-resolver",
            lambda: socket.getaddrinfo(host, port, family, socket.SOCK_STREAM),
        )
        found = await worker.start()
        worker.settle()
        return [
            ResolveResult(
                hostname=host,
                host=str(address[0]),
                port=int(address[1]),
                family=kind,
                proto=protocol,
                flags=socket.AI_NUMERICHOST,
            )
            for kind, _, protocol, _, address in found
        ]

    async def close(self) -> None:
        """Nothing is kept."""
