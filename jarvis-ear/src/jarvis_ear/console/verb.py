"""The verb `console`: serve the page until Ctrl-C, and say once where it is."""

import asyncio
import logging
import os
import secrets
import signal
import socket
import sys
import time
import webbrowser
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, Final

from aiohttp import web

from jarvis_ear.console.door import Door
from jarvis_ear.console.server import Pages
from jarvis_ear.console.tether import Tether
from jarvis_ear.errors import Impostor, JarvisEarError, RemoteProtocolError
from jarvis_ear.page.assets import PATH
from jarvis_ear.system import places
from jarvis_ear.system.ask import ask
from jarvis_ear.system.feed import Feed

HOST: Final = "127.0.0.1"
"""Never anything else: whoever wants it elsewhere has ssh -L, which knows who they are."""

_LOGGER = logging.getLogger(__name__)

STOP_S: Final = 1.0
"""How long open pages may take to hear that this is the end."""


def console(port: int, *, is_opened: bool) -> int:
    """Serve until told to stop; return the exit status."""
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(message)s")
    asyncio.run(_serve(port, is_opened=is_opened))
    return 0


async def _serve(port: int, *, is_opened: bool) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    with ExitStack() as up:
        listener = up.enter_context(_listen(port))
        token = secrets.token_urlsafe(32)
        address = f"http://{HOST}:{listener.getsockname()[1]}{PATH}"
        feed = Feed()
        feed.put("ear", {"up": False, "why": "not asked yet"})
        door = Door(listener.getsockname()[1], token, time.monotonic)
        runner = web.AppRunner(
            Pages(door, feed, _ask).application(), access_log=None, shutdown_timeout=STOP_S
        )
        await runner.setup()
        await web.SockSite(runner, listener).start()
        tether = asyncio.create_task(Tether(_feeds, feed).run())
        sys.stdout.write(f"{address}#token={token}\n")
        sys.stdout.flush()
        if is_opened:
            _open_for_a_while(f"{address}#token={token}", up)
        await stop.wait()
        tether.cancel()
        await runner.cleanup()


def _listen(port: int) -> socket.socket:
    try:
        return socket.create_server((HOST, port), backlog=64)
    except OSError as error:
        raise JarvisEarError(
            f"cannot listen on {HOST}:{port}: {error.strerror}; expected a free port (--port)"
        ) from error


def _feeds() -> list[Path]:
    return list(places.sockets(os.environ, places.FEED))


async def _ask(word: str) -> Mapping[str, Any]:
    """Ask the ear on its control socket, which answers within milliseconds."""
    try:
        answer = await asyncio.to_thread(ask, places.sockets(os.environ), word)
    except (OSError, Impostor, RemoteProtocolError) as error:
        return {"error": f"the ear cannot be asked: {error}"}
    return {"error": "no ear is running"} if answer is None else answer


def _open_for_a_while(address: str, up: ExitStack) -> None:
    try:
        page = _open(address)
    except OSError as error:
        _LOGGER.warning("no browser is opened, open the address yourself: %s", error)
    else:
        up.callback(page.unlink, missing_ok=True)


def _open(address: str) -> Path:
    """Have a browser open a file of ours that leads to ``address``.

    The address itself holds the token, and every user of a machine can read the arguments of every
    program.
    """
    page = places.control_folder(os.environ) / "console.html"
    page.unlink(missing_ok=True)
    with os.fdopen(os.open(page, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(f'<!doctype html><meta http-equiv="refresh" content="0; url={address}">\n')
    with suppress(webbrowser.Error):
        webbrowser.open(page.as_uri())
    return page
