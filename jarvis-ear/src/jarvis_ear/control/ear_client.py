"""Ear client: copies the feed of a running ear, and reconnects when the ear restarts."""

import asyncio
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

from jarvis_ear.control.commands import WATCH
from jarvis_ear.control.feed import MAX_LINE, Feed, Snapshot, decode
from jarvis_ear.control.unix_socket import connect
from jarvis_ear.errors import Impostor, RemoteProtocolError

RETRY_S: Final = 0.5
"""Seconds between attempts: they are cheap, and the user may watch the page during a restart."""

SILENCE_S: Final = 5.0
"""Seconds without data after which the ear is considered hung; it sends some every second."""


class EarClient:
    """Copies the ear's feed into a feed of this process. Runs on the event loop.

    The ear has one watcher, regardless of the number of browsers. The topic ``ear`` says whether
    the other topics are current: ``up``, and else ``why`` not. ``on_absent`` is called with a new
    reason.
    """

    def __init__(
        self,
        paths: Callable[[], Iterable[Path]],
        feed: Feed,
        on_absent: Callable[[str], None] = lambda _why: None,
    ) -> None:
        self._paths = paths
        self._feed = feed
        self._on_absent = on_absent
        self._reported = ""

    async def run(self) -> None:
        """Copy, and reconnect, until cancelled."""
        while True:
            reason = await self._follow_any()
            self._feed.put("ear", {"up": False, "why": reason})
            if reason != self._reported:
                self._on_absent(reason)
                self._reported = reason
            await asyncio.sleep(RETRY_S)

    async def _follow_any(self) -> str:
        """Follow the first ear that accepts us and is trusted; return why that ended."""
        refusal = ""
        for path in self._paths():
            try:
                return await self._follow(path)
            except (FileNotFoundError, ConnectionRefusedError):
                continue
            except PermissionError:
                refusal = refusal or "it runs as another user: run this as that user"
            except Impostor as error:
                refusal = refusal or str(error)
            except OSError as error:
                return str(error.strerror or error)
        return refusal or "it is not running"

    async def _follow(self, path: Path) -> str:
        ear = connect(path, 0)  # a running ear accepts at once
        reader, writer = await asyncio.open_unix_connection(sock=ear, limit=MAX_LINE)
        writer.write(f"{WATCH}\n".encode())
        try:
            while True:
                async with asyncio.timeout(SILENCE_S):
                    line = await reader.readline()
                if not line:
                    raise ConnectionResetError
                self._apply(line)
        except TimeoutError:
            return f"it has sent nothing for {SILENCE_S:g} s"
        except ConnectionError:
            return "it has ended, or refused the connection"
        except (RemoteProtocolError, ValueError) as error:  # ValueError: the line is too long
            return f"it sent invalid data: {error}"
        finally:
            writer.close()

    def _apply(self, line: bytes) -> None:
        news = decode(line)
        if isinstance(news, Snapshot):
            self._reported = ""
            self._feed.replace({**news.topics, "ear": {"up": True}})
            return
        for topic, value in news.changes:
            self._feed.put(topic, value)
