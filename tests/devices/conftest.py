import logging

import pytest


@pytest.fixture
def log(caplog):
    """The records of INFO and above."""
    caplog.set_level(logging.INFO)
    return caplog


@pytest.fixture
def full_log(caplog):
    caplog.set_level(logging.DEBUG)
    return caplog
