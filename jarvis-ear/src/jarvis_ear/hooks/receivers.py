"""Receivers of hooks: a program that is run, and a URL that is posted to."""

import asyncio
import logging
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from http import HTTPStatus
from typing import Final

from jarvis_ear.config import HookOptions
from jarvis_ear.link.tls_and_tcp import Sockets, TrustStore, error_text

_LOGGER = logging.getLogger(__name__)

REAP_S: Final = 0.5
"""The kernel ends a killed process within milliseconds, unless it waits for hardware."""

STDERR_BYTES: Final = 65_536
"""Bytes read from the standard error of a program at a time, the capacity of a pipe."""

CAUSE_LENGTH: Final = 200
"""Characters of its last line that are logged at DEBUG."""

_ENVIRONMENT: Final[Mapping[str, str]] = {
    "PATH": "/usr/local/bin:/usr/bin:/bin",
    "LANG": "C.UTF-8",
    "HOME": "/",
}
"""The only variables of a program, with the values that they have if we have none."""


class HookFailedError(Exception):
    """A receiver did not take an event. The text says why, without any argument or path."""


class _Program:
    """A running program, the leader of a process group. Lives on the thread "hooks"."""

    def __init__(self, command: Sequence[str], body: bytes) -> None:
        """Start it; ``body`` is far smaller than a pipe. Raises ``HookFailedError``."""
        try:
            self._process = subprocess.Popen(  # noqa: S603 - the owner's own, without a shell
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                cwd="/",
                env={name: os.environ.get(name, usual) for name, usual in _ENVIRONMENT.items()},
                start_new_session=True,  # a group to kill, and no terminal
            )
        except (OSError, ValueError) as error:  # ValueError: an argument that no file name can be
            raise HookFailedError(f"it cannot be started: {error_text(error)}") from None
        assert self._process.stdin is not None  # noqa: S101 - asked for above
        assert self._process.stderr is not None  # noqa: S101 - likewise
        self._output = self._process.stderr
        self._stderr = self._output.fileno()
        os.set_blocking(self._stderr, False)
        with suppress(BrokenPipeError), self._process.stdin as stdin:  # it need not read
            stdin.write(body)
        self._last = b""

    async def wait(self) -> None:
        """Wait until it ends, and discard what it writes until then."""
        loop, has_ended = asyncio.get_running_loop(), asyncio.Event()
        descriptor = os.pidfd_open(self._process.pid)
        loop.add_reader(descriptor, has_ended.set)
        loop.add_reader(self._stderr, self._read)
        try:
            await has_ended.wait()
        finally:
            loop.remove_reader(descriptor)
            loop.remove_reader(self._stderr)
            os.close(descriptor)

    def end(self) -> int:
        """Kill the rest of its group, and return the exit status, or -1 times a signal.

        The group exists until the process is reaped, so that its number means no other one.
        """
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._read()
        self._output.close()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(REAP_S)
        if text := self._last.decode("utf-8", "replace").strip():
            _LOGGER.debug("a hook says: %s", text.splitlines()[-1][:CAUSE_LENGTH])
        return self._process.returncode or 0

    def _read(self) -> None:
        with suppress(BlockingIOError):
            piece = os.read(self._stderr, STDERR_BYTES)
            if piece:
                self._last = piece
            else:
                asyncio.get_running_loop().remove_reader(self._stderr)


async def run_program(command: Sequence[str], body: bytes, timeout_s: float) -> None:
    """Run a program with ``body`` on its standard input; raises ``HookFailedError``.

    It is killed after ``timeout_s``, or when the task is cancelled, together with every process
    that it has left in its group.
    """
    program = _Program(command, body)
    status = 0
    try:
        async with asyncio.timeout(timeout_s):
            await program.wait()
    except TimeoutError:
        raise HookFailedError(f"it did not end within {timeout_s:g} s, and was killed") from None
    except OSError as error:  # no more descriptors
        raise HookFailedError(f"it cannot be awaited: {error_text(error)}") from None
    finally:
        status = program.end()
    if status < 0:
        raise HookFailedError(f"it was killed by signal {-status}")
    if status:
        raise HookFailedError(f"exit status {status}")


async def post_body(url: str, body: bytes, timeout_s: float, trust_store: TrustStore) -> None:
    """Post ``body`` to ``url``; raises ``HookFailedError`` unless the answer is a success.

    No proxy, password or cookie is used, no redirect followed, and the answer's body not read.
    """
    headers = {"Content-Type": "application/json"}
    try:
        async with (
            asyncio.timeout(timeout_s),
            Sockets(trust_store).session() as session,
            session.post(url, data=body, headers=headers, allow_redirects=False) as answer,
        ):
            status = answer.status
    except TimeoutError:
        raise HookFailedError(f"it did not answer within {timeout_s:g} s") from None
    except Exception as error:  # noqa: BLE001 - a peer can make the library raise anything
        raise HookFailedError(error_text(error)) from None
    if not HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
        raise HookFailedError(f"it answered with status {status}, expected 200 to 299")


def missing_programs(options: HookOptions) -> Iterator[tuple[str, str]]:
    """Yield the event and a sentence for each program that is not there."""
    path = os.environ.get("PATH", _ENVIRONMENT["PATH"])
    for name, command in options.programs.items():
        if shutil.which(command[0], path=path) is None:
            yield name, f"{command[0]} is not a program that can be run"
