"""For every test: what programs of ours keep on this machine, they keep in a folder of the test."""

import pytest


@pytest.fixture(autouse=True, scope="session")
def _folders_of_our_own(tmp_path_factory):
    folder = tmp_path_factory.mktemp("user")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("RUNTIME_DIRECTORY", "STATE_DIRECTORY"):
            patch.delenv(name, raising=False)
        for name in ("XDG_RUNTIME_DIR", "XDG_STATE_HOME"):
            patch.setenv(name, str(folder))
        yield
