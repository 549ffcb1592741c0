"""A decoder of pocketsphinx in a process of its own: one question, one answer, then the next."""

import asyncio
import os
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from contextlib import suppress
from typing import Final

from jarvis_backend.engines import sphinx_child
from jarvis_backend.errors import EngineError

TEXT_BYTES: Final = 1024 * 1024
"""Most text that is taken from the decoder: hours of speech."""

NAME: Final = "pocketsphinx"

_ONE_THREAD: Final = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


class SphinxProcess:
    """Runs one of our decoder modules. Lives on the loop.

    One question at a time; others wait for their turn, within the same deadline. Whoever stops
    waiting takes the process with them, and the next question starts a fresh one.
    """

    def __init__(self, module: str, timeout_s: float) -> None:
        """Run ``module``; ``timeout_s`` is for a question and the wait for its turn."""
        self._command = (sys.executable, "-m", module)
        self._timeout_s = timeout_s
        self._turn = asyncio.Lock()
        self._child: Process | None = None

    async def prepare(self) -> None:
        """Start the process and load the model: a second or so."""
        await self._ask(None)

    async def ask(self, content: bytes) -> str:
        """Send ``content``, and return the text of the answer. Raises ``EngineError``."""
        return (await self._ask(content)).decode()

    async def aclose(self) -> None:
        """End the process, whatever it is doing."""
        child, self._child = self._child, None
        if child is None:
            return
        if child.returncode is None:
            child.kill()
        await child.wait()
        if child.stdin is not None:
            with suppress(OSError):  # what could not be written to it is not missed
                await child.stdin.wait_closed()

    async def _ask(self, content: bytes | None) -> bytes:
        try:
            async with asyncio.timeout(self._timeout_s), self._turn:
                return await self._exchange(content)
        except TimeoutError:
            raise too_late(self._timeout_s) from None

    async def _exchange(self, content: bytes | None) -> bytes:
        answered = False
        try:
            child = self._child or await self._start()
            answer = b"" if content is None else await _talk(child, content)
            answered = True
        except (OSError, asyncio.IncompleteReadError) as error:
            raise EngineError(f"{NAME} broke off: {error}") from error
        finally:
            if not answered:
                await self.aclose()
        return answer

    async def _start(self) -> Process:
        # It sees where our modules are, and nothing else of our environment: no password. It
        # decodes on one core, and numpy would start a thread for every other.
        self._child = child = await asyncio.create_subprocess_exec(
            *self._command,
            stdin=PIPE,
            stdout=PIPE,
            stderr=DEVNULL,
            env={"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), **_ONE_THREAD},
        )
        await _read_frame(child)
        return child


def too_late(timeout_s: float) -> EngineError:
    """Make the error for whoever waited ``timeout_s`` for nothing."""
    return EngineError(f"{NAME} took more than {timeout_s:g} s")


async def _talk(child: Process, content: bytes) -> bytes:
    assert child.stdin is not None  # noqa: S101 - it was asked for as a pipe
    child.stdin.write(sphinx_child.LENGTH.pack(len(content)) + content)
    await child.stdin.drain()
    return await _read_frame(child)


async def _read_frame(child: Process) -> bytes:
    assert child.stdout is not None  # noqa: S101 - it was asked for as a pipe
    head = await child.stdout.readexactly(sphinx_child.LENGTH.size)
    length: int = sphinx_child.LENGTH.unpack(head)[0]
    if length > TEXT_BYTES:
        raise EngineError(f"{NAME} sent {length} bytes, expected at most {TEXT_BYTES}")
    return await child.stdout.readexactly(length)
