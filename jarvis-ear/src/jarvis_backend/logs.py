"""Logs: lines on standard error, which is where a service manager looks for them."""

import logging
import sys


def log_to_stderr(level: str) -> None:
    """Write our lines from ``level`` on, and of others what is a warning."""
    logging.basicConfig(
        stream=sys.stderr, level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s"
    )
    logging.getLogger("jarvis_backend").setLevel(level.upper())
