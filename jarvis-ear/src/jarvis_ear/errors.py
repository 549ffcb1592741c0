"""Exceptions of the program, and where each error comes from.

* ``JarvisEarError``
    * ``ConfigError``            user: printed without traceback, exit status 78, no restart
    * ``AlreadyRunning``         user: two ears would take each other's utterances, status 75
    * ``NoBrowser``              user: nothing can show the console, exit status 69
    * ``InputError``             user: a file that cannot be read as sound, exit status 66
    * ``TurnFailed``             backend: a file's last command did not succeed, status 75
    * ``DeviceError``            device: retried with back-off
        * ``MicrophoneUnavailable``
            * ``MicrophoneBusy``
        * ``DeviceHangs``        nothing in this process can recover it: the program ends
        * ``SpeakerLost``
    * ``TransportError``         network: retried with back-off
        * ``ConnectFailed``
        * ``Disconnected``
            * ``ClosedInOrder``  the other side closed the link as the protocol requires
        * ``Rejected``           credentials rejected: long back-off, logged once
    * ``Impostor``               another user's program is in the place of an ear, status 77
    * ``ServiceError``           machine: the service cannot be installed, status 71
        * ``NotPermitted``       user: only root may do that, status 77
    * ``ProtocolError``
        * ``RemoteProtocolError``  invalid data received: drop the message or the link, and count
            * ``UnknownMessage``   of a kind that we do not know: a newer server may send it
        * ``LocalProtocolError``   invalid data about to be sent: a bug

Any other exception is a bug: it ends the process with a traceback, and systemd restarts it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar


class JarvisEarError(Exception):
    """Base class. The text tells a person what failed, where, and what was expected."""

    exit_status: ClassVar[int] = 1
    """Exit status of the process if the error is not handled (sysexits.h numbers)."""


class ConfigError(JarvisEarError):
    """The configuration is invalid. The text has one line per problem, and all problems."""

    exit_status = 78  # EX_CONFIG: systemd does not restart after it (RestartPreventExitStatus=78)


class AlreadyRunning(JarvisEarError):
    """Another ear uses an exclusive resource."""

    exit_status = 75  # EX_TEMPFAIL: it will succeed once the other one has ended


class NoBrowser(JarvisEarError):
    """There is no browser that can open the console."""

    exit_status = 69  # EX_UNAVAILABLE


class InputError(JarvisEarError):
    """A given sound file or stream cannot be read in the expected format."""

    exit_status = 66  # EX_NOINPUT


class TurnFailed(JarvisEarError):
    """The last command of a sound file was not run, or its reply did not come."""

    exit_status = 75  # EX_TEMPFAIL: a later attempt may succeed


class DeviceError(JarvisEarError):
    """A microphone or speaker does not work."""

    exit_status = 69  # EX_UNAVAILABLE


class MicrophoneUnavailable(DeviceError):
    """No sound can be read from the microphone, or it was lost."""


class MicrophoneBusy(MicrophoneUnavailable):
    """Another program uses the microphone; the text says which one."""


class DeviceHangs(DeviceError):
    """A call of a driver or a sound server does not return."""


class SpeakerLost(DeviceError):
    """No sound can be written to the speaker, or it was lost."""


class TransportError(JarvisEarError):
    """The link to the backend does not work."""

    exit_status = 69  # EX_UNAVAILABLE


class ConnectFailed(TransportError):
    """The backend could not be reached, or did not answer in time."""


class Disconnected(TransportError):
    """An open link was lost."""


class ClosedInOrder(Disconnected):
    """The other side closed the link as the protocol requires."""


class Rejected(TransportError):
    """The backend rejected our credentials."""

    exit_status = 77  # EX_NOPERM


class Impostor(JarvisEarError):
    """The folder or program in the place of a running ear belongs to an untrusted user."""

    exit_status = 77  # EX_NOPERM


class ServiceError(JarvisEarError):
    """The service cannot be installed, started or removed on this machine."""

    exit_status = 71  # EX_OSERR


class NotPermitted(ServiceError):
    """Only root may do what was asked."""

    exit_status = 77  # EX_NOPERM


class ProtocolError(JarvisEarError):
    """A message does not follow the protocol."""

    exit_status = 76  # EX_PROTOCOL


class RemoteProtocolError(ProtocolError):
    """The other side sent invalid data."""


class UnknownMessage(RemoteProtocolError):
    """The other side sent a message of a kind that we do not know. Newer servers may."""


class LocalProtocolError(ProtocolError):
    """We were about to send invalid data: a bug of ours."""


@contextmanager
def file_errors(what: str) -> Iterator[None]:
    """Turn an ``OSError`` of the block into the error of a verb that uses ``what``.

    Raises ``NotPermitted`` for files of another user, ``InputError`` otherwise.
    """
    try:
        yield
    except PermissionError as error:
        place = str(error.filename or what)
        raise NotPermitted(
            f"{place if place.isprintable() else repr(place)} belongs to another user: "
            "run this as that user, or as root"
        ) from None
    except OSError as error:
        raise InputError(f"{what} cannot be used: {error}") from error
