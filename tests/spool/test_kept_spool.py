"""Where sentences wait is taken for the ear alone, or not at all."""

import pytest

from jarvis_ear.config import SpoolOptions
from jarvis_ear.errors import AlreadyRunning
from jarvis_ear.spool.store import NoSpool, kept_spool


def test_a_second_ear_is_told_at_once_and_a_later_one_is_not(tmp_path):
    options = SpoolOptions(dir=tmp_path / "spool", ledger_dir=tmp_path / "ledger")
    with kept_spool(options), pytest.raises(AlreadyRunning), kept_spool(options):
        pass
    with kept_spool(options):
        pass


def test_without_one_nothing_is_kept(tmp_path):
    options = SpoolOptions(enabled=False, dir=tmp_path / "spool")
    with kept_spool(options) as spool:
        assert isinstance(spool, NoSpool)
    assert list(tmp_path.iterdir()) == []
