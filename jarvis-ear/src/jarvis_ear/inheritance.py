"""Inheritance: what programs that we start get of our environment."""

from collections.abc import Mapping
from typing import Final

ADDRESS: Final = "NOTIFY_SOCKET"
"""Where the service manager listens to us."""

WATCHDOG: Final = ("WATCHDOG_USEC", "WATCHDOG_PID")
"""How often the service manager wants to hear that all is well, and from whom."""

SECRETS: Final = ("JARVIS_PASSWORD", "CREDENTIALS_DIRECTORY")
"""What nobody needs who does not log in to the backend."""

OPTIONS: Final = "JARVIS_EAR_"
"""What the options of the ear begin with; some of them are secrets."""


def inherited(environ: Mapping[str, str]) -> dict[str, str]:
    """Leave out what is meant for us alone."""
    ours = (ADDRESS, *WATCHDOG, *SECRETS)
    return {
        name: value
        for name, value in environ.items()
        if name not in ours and not name.startswith(OPTIONS)
    }
