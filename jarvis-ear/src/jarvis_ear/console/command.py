"""``jarvis-ear console``: connects to the ear and serves its page to browsers."""

import asyncio
import logging
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
import webbrowser
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, Final

from aiohttp import web

from jarvis_ear import paths
from jarvis_ear.console.server import Pages, RequestGuard
from jarvis_ear.control.client import ask
from jarvis_ear.control.ear_client import EarClient
from jarvis_ear.control.feed import Feed
from jarvis_ear.errors import Impostor, JarvisEarError, NoBrowser, RemoteProtocolError
from jarvis_ear.page import PATH
from jarvis_ear.process import NamedThread

_LOGGER = logging.getLogger(__name__)

HOST: Final = "127.0.0.1"
"""The only address; for other machines there is ssh -L, which authenticates the user."""

STOP_S: Final = 1.0
"""Seconds in which open pages are notified of the stop."""


def console(port: int, *, is_opened: bool) -> int:
    """Serve until SIGINT or SIGTERM; return the exit status.

    Raises ``NoBrowser`` if the page is to be opened and there is no browser for it.
    """
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(message)s")
    asyncio.run(_serve(port, _find_browser() if is_opened else ()))
    return 0


async def _serve(port: int, browser: Sequence[str]) -> None:
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
        guard = RequestGuard(listener.getsockname()[1], token, time.monotonic)
        runner = web.AppRunner(
            Pages(guard, feed, _ask).application(), access_log=None, shutdown_timeout=STOP_S
        )
        await runner.setup()
        await web.SockSite(runner, listener).start()
        client = asyncio.create_task(EarClient(_sockets, feed, _report_absent).run())
        sys.stdout.write(f"{address}#token={token}\n")
        sys.stdout.flush()
        if browser:
            _open(browser, address, token, up)
        await stop.wait()
        client.cancel()
        await runner.cleanup()


def _listen(port: int) -> socket.socket:
    try:
        return socket.create_server((HOST, port), backlog=64)
    except OSError as error:
        raise JarvisEarError(
            f"cannot listen on {HOST}:{port}: {error.strerror}; expected a free port (--port)"
        ) from error


def _report_absent(why: str) -> None:
    _LOGGER.warning("no ear to show: %s", why)


def _sockets() -> list[Path]:
    return list(paths.sockets(os.environ))


async def _ask(word: str) -> Mapping[str, Any]:
    """Send a command to the control socket of the ear, which answers within milliseconds."""
    try:
        answer = await asyncio.to_thread(ask, paths.sockets(os.environ), word)
    except (OSError, Impostor, RemoteProtocolError) as error:
        return {"error": f"the ear does not answer: {error}"}
    return {"error": "no ear is running"} if answer is None else answer


TEXT_BROWSERS: Final = frozenset({"www-browser", "links", "elinks", "lynx", "w3m"})
"""Browsers in a terminal, which do not run the page."""

OPENED_S: Final = 10.0
"""Seconds in which a browser that ends with an error has not shown the page."""


def _find_browser() -> tuple[str, ...]:
    """Return the command of the preferred browser, with ``%s`` for the address; see $BROWSER."""
    elsewhere = "start it without --open, and open the address that it prints"
    try:
        found: Any = webbrowser.get()
    except webbrowser.Error:
        raise NoBrowser(f"no browser is found, or there is no display: {elsewhere}") from None
    command = (found.name, *found.args)
    if shutil.which(found.name) is None:
        raise NoBrowser(f"the browser {found.name} ($BROWSER) is not installed: {elsewhere}")
    if Path(found.name).name in TEXT_BROWSERS:
        raise NoBrowser(f"the only browser, {found.name}, runs no scripts: {elsewhere}")
    return command


def _open(browser: Sequence[str], address: str, token: str, up: ExitStack) -> None:
    """Show the page in a browser, and say so; ``up`` removes the file that has the token."""
    try:
        page = _redirection(f"{address}#token={token}")
        up.callback(page.unlink, missing_ok=True)
        _LOGGER.warning("opens %s with %s", address, browser[0])
        command = [word.replace("%s", page.as_uri()) for word in browser]
        nowhere = subprocess.DEVNULL
        process = subprocess.Popen(  # noqa: S603 - the browser of the user; it outlives the console
            command, stdin=nowhere, stdout=nowhere, stderr=nowhere, start_new_session=True
        )
    except OSError as error:
        _LOGGER.warning("cannot open a browser, open the address yourself: %s", error)
        return

    def watch() -> None:
        with suppress(subprocess.TimeoutExpired):
            if status := process.wait(OPENED_S):
                words = "%s ended with status %d: open the address above yourself"
                _LOGGER.warning(words, browser[0], status)

    NamedThread(target=watch, name="browser", daemon=True).start()


def _redirection(address: str) -> Path:
    """Write a private file that redirects a browser to ``address``; or raise ``OSError``.

    The address contains the token, and every user of the machine can read the arguments of a
    process.
    """
    page = paths.control_folder(os.environ) / "console.html"
    page.unlink(missing_ok=True)
    with os.fdopen(os.open(page, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(f'<!doctype html><meta http-equiv="refresh" content="0; url={address}">\n')
    return page
