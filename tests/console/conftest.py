"""What the tests of the console share: coroutines as tests, its pages, and its program."""

import asyncio
import inspect
import os
import socket
import time
from contextlib import asynccontextmanager, contextmanager
from subprocess import PIPE, Popen

import pytest
from aiohttp import ClientSession, WSServerHandshakeError, web

from fakes.program import VERB
from jarvis_ear.console.server import Pages, RequestGuard
from jarvis_ear.control.feed import Feed

TOKEN = "the-token"
DEADLINE_S = 20


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem):
    """Run a test that is a coroutine to its end, with a deadline."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    arguments = {name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames}
    asyncio.run(asyncio.wait_for(pyfuncitem.obj(**arguments), DEADLINE_S))
    return True


class Site:
    """The console's server, and one client of it."""

    def __init__(self, session: ClientSession, pages: Pages, app: web.Application, port: int):
        self.session = session
        self.pages = pages
        self.app = app
        self.host = f"127.0.0.1:{port}"

    def url(self, path: str) -> str:
        return f"http://{self.host}{path}"

    def request(self, path: str, method: str = "GET", **headers: str):
        """Ask with the token."""
        headers = {"Authorization": f"Bearer {TOKEN}", **headers}
        return self.session.request(method, self.url(path), headers=headers)

    def watch(self, token: str = TOKEN, path: str = "/console/feed", **headers: str):
        protocols = ("jarvis-console", f"token.{token}") if token else ()
        return self.session.ws_connect(
            self.url(path), protocols=protocols, headers=headers, max_msg_size=0
        )

    async def refusal(self, *words: str, **how: str) -> int:
        """Watch, and return the status of the refusal."""
        with pytest.raises(WSServerHandshakeError) as refused:
            await self.watch(*words, **how)
        return refused.value.status


@pytest.fixture
def feed():
    made = Feed()
    made.put("ear", {"up": True})
    return made


@pytest.fixture
def site(feed):
    """Make a site that carries out every command: ``async with site() as site``."""

    async def ask(word):
        return {"did": word}

    @asynccontextmanager
    async def make():
        # The guard has to know the port, and the port is known when it listens.
        listener = socket.create_server(("127.0.0.1", 0))
        port = listener.getsockname()[1]
        guard = RequestGuard(port, TOKEN, time.monotonic)
        pages = Pages(guard, feed, ask, time.monotonic)
        app = pages.application()
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
        await runner.setup()
        await web.SockSite(runner, listener).start()
        try:
            async with ClientSession() as session:
                yield Site(session, pages, app, port)
        finally:
            await runner.cleanup()

    return make


@pytest.fixture(scope="session")
def run_console():
    """Run `jarvis-ear console` for the ear in a folder."""

    @contextmanager
    def run(folder, *options, **environ):
        argv = [*VERB, "console", *options]
        environ = {**os.environ, "RUNTIME_DIRECTORY": str(folder), **environ}
        with Popen(argv, stdout=PIPE, stderr=PIPE, text=True, env=environ) as process:
            try:
                yield process
            finally:
                process.kill()

    return run


@pytest.fixture(scope="session")
def open_page():
    """Open a page in a browser; errors in it, but for allowed ones, fail the test."""

    @contextmanager
    def open_address(browser, address, *allowed):
        context = browser.new_context(viewport={"width": 1280, "height": 800})
        page, errors = context.new_page(), []
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda line: line.type == "error" and errors.append(line.text))
        page.goto(address)
        yield page
        context.close()
        assert [each for each in errors if not any(words in each for words in allowed)] == []

    return open_address
