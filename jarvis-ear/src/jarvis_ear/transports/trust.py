"""Trust: whom we believe that they are the backend."""

import ssl
from pathlib import Path
from typing import Final

from jarvis_ear.errors import ConfigError

_EXPECTED: Final = "expected a file of PEM certificates"


class Trust:
    """The certificate authorities that may vouch for an ``https`` backend. Any thread may read it.

    There is no way to trust nobody in particular.
    """

    def __init__(self, ca_file: Path | None = None) -> None:
        self.ca_file = ca_file
        """None: the authorities that come with the system or with the library."""
        self.context = _context(ca_file)
        """What a TLS connection is made with."""


def _context(ca_file: Path | None) -> ssl.SSLContext:
    if ca_file is not None and ca_file.exists() and not ca_file.is_file():  # a pipe has no end
        raise ConfigError(f"backend.ca_file: {ca_file}: no regular file, {_EXPECTED}")
    try:
        return ssl.create_default_context(cafile=ca_file)
    except (OSError, ssl.SSLError) as error:  # the second is one of the first, with other words
        why = "no certificate in it" if isinstance(error, ssl.SSLError) else error.strerror
        raise ConfigError(f"backend.ca_file: {ca_file}: {why}, {_EXPECTED}") from None
