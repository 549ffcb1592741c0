"""Dumps: what other programs of our user may see of our memory."""

import ctypes
from typing import Final

PR_SET_DUMPABLE: Final = 4
"""A process that may not be dumped is read by root only (prctl(2)): no debugger of our own user, no
core, and in /proc neither its memory nor its environment."""


def forbid_dumps() -> None:
    """Let only root look into this process. Programs that it starts have to ask for themselves."""
    ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
