"""Blame: why a library's call failed, in words of our own."""

import os
import socket
from collections.abc import Mapping
from typing import Final

_NO_ADDRESS: Final[Mapping[int, str]] = {
    socket.EAI_NONAME: "unknown host",
    socket.EAI_NODATA: "unknown host",
    socket.EAI_AGAIN: "its name cannot be looked up at present",
}
"""What a name server said, for people; whatever else it said: the name cannot be looked up."""


def blame(error: BaseException) -> str:
    """Name the system's reason under ``error``, else its type.

    Never the text of the exception: it may hold the address with a password in it, a token, or
    whatever the other side wrote.
    """
    cause: BaseException | None = error
    for _ in range(8):  # a chain this long explains nothing any more
        if cause is None:
            break
        if isinstance(cause, socket.gaierror):
            return _NO_ADDRESS.get(cause.errno or 0, "its name cannot be looked up")
        if isinstance(cause, OSError) and cause.errno is not None and cause.errno > 0:
            return os.strerror(cause.errno).lower()
        cause = cause.__cause__ or cause.__context__
    return type(error).__name__
