"""Tether: the console's hold on the running ear, which comes and goes."""

import asyncio
import logging
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

from jarvis_ear.errors import Impostor, RemoteProtocolError
from jarvis_ear.system import private_socket
from jarvis_ear.system.feed import Feed, Snapshot
from jarvis_ear.system.feed_lines import MAX_LINE, decode

RETRY_S: Final = 0.5
"""A local socket costs nothing to try, and whoever restarts the ear is looking at the page."""

SILENCE_S: Final = 5.0
"""An ear says something every second; one that says nothing for so long hangs."""

_LOGGER = logging.getLogger(__name__)


class Tether:
    """Copies the ear's feed into the console's own, for ever. Lives on the loop.

    However many browsers watch the copy, the ear has one watcher. The topic ``ear`` says whether
    the rest is true at the moment.
    """

    def __init__(self, paths: Callable[[], Iterable[Path]], feed: Feed) -> None:
        self._paths = paths
        self._feed = feed
        self._said = ""

    async def run(self) -> None:
        """Hold on until cancelled."""
        while True:
            reason = await self._follow_any()
            self._feed.put("ear", {"up": False, "why": reason})
            if reason != self._said:
                _LOGGER.warning("no ear to show: %s", reason)
                self._said = reason
            await asyncio.sleep(RETRY_S)

    async def _follow_any(self) -> str:
        """Follow the first ear that listens to us and may be believed; return why that ended."""
        refusal = ""
        for path in self._paths():
            try:
                return await self._follow(path)
            except (FileNotFoundError, ConnectionRefusedError):
                continue
            except PermissionError:
                refusal = refusal or "it runs as another user: run the console as that user"
            except Impostor as error:
                refusal = refusal or str(error)
            except OSError as error:
                return str(error.strerror or error)
        return refusal or "it is not running"

    async def _follow(self, path: Path) -> str:
        ear = private_socket.connect(path, 0)  # an ear that lives accepts at once
        reader, writer = await asyncio.open_unix_connection(sock=ear, limit=MAX_LINE)
        try:
            while True:
                async with asyncio.timeout(SILENCE_S):
                    line = await reader.readline()
                if not line:
                    return "it has ended, or turned us away"
                self._take(line)
        except TimeoutError:
            return f"it has said nothing for {SILENCE_S:g} s"
        except (RemoteProtocolError, ValueError) as error:  # ValueError: a line without end
            return f"it cannot be understood: {error}"
        finally:
            writer.close()

    def _take(self, line: bytes) -> None:
        news = decode(line)
        if isinstance(news, Snapshot):
            self._said = ""
            self._feed.replace({**news.topics, "ear": {"up": True}})
            return
        for topic, value in news.changes:
            self._feed.put(topic, value)
