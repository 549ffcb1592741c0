"""What can go wrong, and whose fault it is.

* ``JarvisEarError``
    * ``ConfigError``            the user's: printed without traceback, exit status 78, no restart
    * ``AlreadyRunning``         the user's: two ears would take each other's sentences, status 75
    * ``InputError``             the user's: a file that cannot be read as sound, exit status 66
    * ``TurnFailed``             the backend's: a file's last command did not succeed, status 75
    * ``DeviceError``            the room's: retried with back-off
        * ``MicrophoneUnavailable``
            * ``MicrophoneBusy``
        * ``DeviceHangs``        nothing in this process can wake it: the program ends
        * ``SpeakerLost``
    * ``TransportError``         the network's: retried with back-off
        * ``ConnectFailed``
        * ``Disconnected``
            * ``ClosedInOrder``  the other side said that it leaves
        * ``Rejected``           credentials refused: long back-off, said loudly once
    * ``Impostor``               another user's program is where an ear should be, status 77
    * ``ServiceError``           this machine's: the service cannot be installed, status 71
        * ``NotPermitted``       the user's: only root may do that, status 77
    * ``ProtocolError``
        * ``RemoteProtocolError``  they sent nonsense: drop the message or the link, count, go on
        * ``LocalProtocolError``   we tried to send nonsense: a bug

Anything else is a bug: it ends the process with a traceback, and systemd starts a fresh one.
"""

from typing import ClassVar


class JarvisEarError(Exception):
    """The root: a person can act on its text, which says who, what, and what was expected."""

    exit_status: ClassVar[int] = 1
    """Status the process ends with when nobody handled the error (sysexits.h numbers)."""


class ConfigError(JarvisEarError):
    """The configuration cannot be used. One line per problem; all problems at once."""

    exit_status = 78  # EX_CONFIG: systemd does not restart on it (RestartPreventExitStatus=78)


class AlreadyRunning(JarvisEarError):
    """Another ear uses what only one can use."""

    exit_status = 75  # EX_TEMPFAIL: it will do once the other one has ended


class InputError(JarvisEarError):
    """A sound file or stream that was named cannot be read as what it should be."""

    exit_status = 66  # EX_NOINPUT


class TurnFailed(JarvisEarError):
    """The last command of a sound file was not run, or its reply did not come."""

    exit_status = 75  # EX_TEMPFAIL: the backend may do it another time


class DeviceError(JarvisEarError):
    """A microphone or speaker does not do what it should."""

    exit_status = 69  # EX_UNAVAILABLE


class MicrophoneUnavailable(DeviceError):
    """No sound can be read from the microphone (any more)."""


class MicrophoneBusy(MicrophoneUnavailable):
    """Another program holds the microphone; the text says which one."""


class DeviceHangs(DeviceError):
    """A driver or a sound server does not come back from a call."""


class SpeakerLost(DeviceError):
    """No sound can be written to the speaker (any more)."""


class TransportError(JarvisEarError):
    """The link to the backend does not do what it should."""

    exit_status = 69  # EX_UNAVAILABLE


class ConnectFailed(TransportError):
    """The backend could not be reached, or did not answer in time."""


class Disconnected(TransportError):
    """A link that was up is gone."""


class ClosedInOrder(Disconnected):
    """The other side has closed a link as its protocol wants it done."""


class Rejected(TransportError):
    """The backend refused our credentials."""

    exit_status = 77  # EX_NOPERM


class Impostor(JarvisEarError):
    """What is in the place of a running ear belongs to somebody who is not to be believed."""

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
    """The other side sent something it must not send."""


class LocalProtocolError(ProtocolError):
    """We were about to send something we must not send: a bug of ours."""
