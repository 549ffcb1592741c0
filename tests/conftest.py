"""For every test: what programs of ours keep on this machine, they keep in a folder of the test."""

import asyncio
import gc
import os

import pytest
import uvicorn.server

from jarvis_backend.config import BackendConfig
from jarvis_backend.server import Server


def pytest_xdist_auto_num_workers():
    """Use one worker more than there are cores: some tests wait for other programs."""
    return len(os.sched_getaffinity(0)) + 1


def pytest_collection_finish():
    """Keep the garbage collector from looking at all modules again: a tenth of the time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport():
    """Write lone surrogates in captured output as escapes: a worker could not send them."""
    report = yield
    report.sections = [
        (title, text.encode("utf-8", "backslashreplace").decode())
        for title, text in report.sections
    ]
    return report


@pytest.fixture(autouse=True, scope="session")
def _folders_of_our_own(tmp_path_factory):
    folder = tmp_path_factory.mktemp("user")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("RUNTIME_DIRECTORY", "STATE_DIRECTORY"):
            patch.delenv(name, raising=False)
        for name in ("XDG_RUNTIME_DIR", "XDG_STATE_HOME"):
            patch.setenv(name, str(folder))
        yield


class _OftenAwake:
    """``asyncio``, whose ``sleep`` takes a tenth of what is asked."""

    def __getattr__(self, name):
        return getattr(asyncio, name)

    @staticmethod
    async def sleep(delay):
        await asyncio.sleep(delay / 10)


@pytest.fixture(autouse=True, scope="session")
def _servers_that_look_often():
    """A server in this process looks every 10 ms, not 100, whether it shall stop.

    Hundreds are stopped here, and nothing about a stop but its length depends on it.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(uvicorn.server, "asyncio", _OftenAwake())
        yield


@pytest.fixture
def shortest_waits(monkeypatch):
    """A link that was lost is opened again at once: how long it waits has tests of its own."""
    monkeypatch.setattr("random.random", lambda: 0.0)
    monkeypatch.setattr("jarvis_ear.link.supervisor._FLOOR_S", 0.05)


@pytest.fixture(scope="session")
def real_backend():
    """The address of a reference backend with its real engines, shared by all who only ask it."""
    with Server(BackendConfig(port=0, password="jarvis")) as server:
        yield server.url
