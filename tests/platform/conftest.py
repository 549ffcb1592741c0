"""A box with a real systemd and a sound card that speaks, for the tests that install into it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from fakes import systemd_box
from fakes.installed_ear import SHOWN, InstalledEar
from fakes.recordings import QUESTION, recording
from fakes.systemd_box import SystemdBox
from fakes.vmic import missing_tools


@contextmanager
def box_with_card(folder: Path, *, own_network: bool = False) -> Iterator[InstalledEar]:
    for missing in (systemd_box.missing(), missing_tools()):
        if missing is not None:
            pytest.skip(missing)
    with SystemdBox(folder / "box", SHOWN, own_network=own_network) as box:
        ear = InstalledEar(box)
        (folder / "card").mkdir()
        ear.prepare(folder / "card", recording(QUESTION))
        yield ear


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """A box of the module's own, into which nothing is installed yet."""
    with box_with_card(tmp_path_factory.mktemp("box")) as ear:
        yield ear


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """A box with a network of its own: another box has a backend at the usual port."""
    with box_with_card(tmp_path_factory.mktemp("box"), own_network=True) as ear:
        yield ear


@pytest.fixture(scope="session")
def installed(tmp_path_factory):
    """The ear and the reference backend as services that run, for all tests: leave them so."""
    with box_with_card(tmp_path_factory.mktemp("box")) as ear:
        ear.build("--with-backend")
        ear.service("install", "--with-backend")
        ear.wait_until_it_hears()
        yield ear
