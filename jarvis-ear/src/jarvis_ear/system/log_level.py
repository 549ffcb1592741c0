"""The level of the log, changed while it is written."""

import logging
from typing import Final

from jarvis_ear import config

OURS: Final = __name__.partition(".")[0]
"""The logger above all of ours; those of libraries keep the level they have."""


def set_level(log: config.Log) -> None:
    """Have lines of this level and above written from now on."""
    level = log.level.upper()
    logging.getLogger(OURS).setLevel(level)
    for handler in logging.getLogger().handlers:
        handler.setLevel(level)
