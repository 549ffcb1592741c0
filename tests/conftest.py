"""For every test: what programs of ours keep on this machine, they keep in a folder of the test."""

import pytest

from jarvis_backend.config import BackendConfig
from jarvis_backend.server import Server


@pytest.fixture(autouse=True, scope="session")
def _folders_of_our_own(tmp_path_factory):
    folder = tmp_path_factory.mktemp("user")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("RUNTIME_DIRECTORY", "STATE_DIRECTORY"):
            patch.delenv(name, raising=False)
        for name in ("XDG_RUNTIME_DIR", "XDG_STATE_HOME"):
            patch.setenv(name, str(folder))
        yield


@pytest.fixture(scope="session")
def real_backend():
    """The address of a reference backend with its real engines, shared by all who only ask it."""
    with Server(BackendConfig(port=0, password="jarvis")) as server:
        yield server.url
