"""What can go wrong in the backend, and who has to act.

* ``BackendError``
    * ``ConfigError``      the owner's: printed without traceback, exit status 78
    * ``AddressInUse``     the owner's: another program has the port, exit status 69
    * ``EngineError``      an engine cannot do what it was asked; the turn ends, the backend goes on
        * ``EngineMissing``  it is not installed or not switched on; the text says what to install
        * ``EngineBusy``     it has more to do than it can in time; nothing was begun
    * ``UtteranceError``   what the satellite sent cannot be used; the turn ends

Anything else is a bug.
"""

from typing import ClassVar


class JarvisBackendError(Exception):
    """The root: a person can act on its text, which says who, what, and what was expected."""

    exit_status: ClassVar[int] = 1
    """Status the program ends with when nobody handled the error (sysexits.h numbers)."""


class BackendConfigError(JarvisBackendError):
    """The configuration cannot be used. One line per problem; all problems at once."""

    exit_status = 78  # EX_CONFIG


class AddressInUse(JarvisBackendError):
    """The address cannot be listened on."""

    exit_status = 69  # EX_UNAVAILABLE


class EngineError(JarvisBackendError):
    """An engine failed at one piece of work."""


class EngineMissing(EngineError):
    """An engine is not there at all. The text names what to install or to configure."""


class EngineBusy(EngineError):
    """An engine has too much to do already. Said at once, to who could not be answered in time."""


class UtteranceError(JarvisBackendError):
    """An utterance cannot be used: the text is what the satellite is told."""
