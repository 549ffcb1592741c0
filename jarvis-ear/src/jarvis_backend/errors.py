"""Exceptions of the backend, and where each error comes from.

* ``JarvisBackendError``
    * ``BackendConfigError``  user: printed without traceback, exit status 78
    * ``AddressInUse``        user: another program uses the port, exit status 69
    * ``EngineError``         an engine fails at one task: the turn ends, the backend continues
        * ``EngineMissing``   it is not installed or not enabled; the text says what to install
            * ``ModelMissing``  a model is not on this machine; exit status 66 of `models path`
        * ``EngineBusy``      it cannot finish in time, and has not begun
    * ``FetchFailed``         network: a model cannot be fetched, exit status 69
    * ``UtteranceError``      the satellite sent an unusable utterance: the turn ends

Any other exception is a bug.
"""

import os
from typing import ClassVar


class JarvisBackendError(Exception):
    """Base class. The text tells a person what failed, where, and what was expected."""

    exit_status: ClassVar[int] = 1
    """Exit status of the process if the error is not handled (sysexits.h numbers)."""


class BackendConfigError(JarvisBackendError):
    """The configuration is invalid. The text has one line per problem, and all problems."""

    exit_status = 78  # EX_CONFIG


class AddressInUse(JarvisBackendError):
    """The backend cannot listen on the address."""

    exit_status = 69  # EX_UNAVAILABLE


class EngineError(JarvisBackendError):
    """An engine failed at one task."""


class EngineMissing(EngineError):
    """An engine is not available. The text names what to install or to configure."""


class ModelMissing(EngineMissing):
    """A model is not on this machine. The text says how to get it."""

    exit_status = 66  # EX_NOINPUT


class FetchFailed(JarvisBackendError):
    """A model cannot be fetched. The text says what was received, and what to do."""

    exit_status = 69  # EX_UNAVAILABLE


class EngineBusy(EngineError):
    """An engine cannot finish in time because of other work. Raised before the work begins."""


class UtteranceError(JarvisBackendError):
    """An utterance is unusable. The text is sent to the satellite."""


def why_unreachable(error: BaseException) -> str:
    """Return why a server gave no usable answer: what the system says, else the kind of error."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.errno:
            if tls := getattr(cause, "reason", None):  # ssl.SSLError
                return f"no TLS connection ({str(tls).lower().replace('_', ' ')})"
            known = cause.errno > 0  # else a code of the resolver
            return (os.strerror(cause.errno) if known else cause.strerror or "unknown name").lower()
        cause = cause.__cause__ or cause.__context__
    return f"the answer broke off, or is not HTTP ({type(error).__name__})"
