"""Speech-to-text by pocketsphinx: the model comes with the package, nothing else is needed."""

import asyncio
import importlib.util
import os
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from typing import Final

import numpy as np
import numpy.typing as npt

from jarvis_backend.engines import sphinx_child
from jarvis_backend.errors import EngineError, EngineMissing

TEXT_BYTES: Final = 1024 * 1024
"""Most text that is taken from the decoder: hours of speech."""

_CHILD: Final = (sys.executable, "-m", sphinx_child.__name__)


class SphinxSpeechToText:
    """Understands by pocketsphinx, in a process of its own. Lives on the loop.

    One utterance at a time; others wait for their turn, within the same deadline. Whoever stops
    waiting takes the process with them, and the next utterance starts a fresh one.
    """

    name = "pocketsphinx"

    def __init__(self, timeout_s: float) -> None:
        if importlib.util.find_spec("pocketsphinx") is None:
            raise EngineMissing(
                "the Python package pocketsphinx is not installed (pip install pocketsphinx)"
            )
        self._timeout_s = timeout_s
        self._turn = asyncio.Lock()
        self._child: Process | None = None

    async def prepare(self) -> None:
        """Start the process and load the model: a second or so."""
        await self._ask(None)

    async def transcribe(self, pcm: npt.NDArray[np.int16]) -> str:
        """Have the process decode ``pcm``."""
        return (await self._ask(pcm.astype("<i2").tobytes())).decode()

    async def aclose(self) -> None:
        """End the process, whatever it is doing."""
        await self._end()

    async def _ask(self, sound: bytes | None) -> bytes:
        try:
            async with asyncio.timeout(self._timeout_s), self._turn:
                return await self._exchange(sound)
        except TimeoutError:
            raise EngineError(f"{self.name} took more than {self._timeout_s:g} s") from None

    async def _exchange(self, sound: bytes | None) -> bytes:
        answered = False
        try:
            child = self._child or await self._start()
            answer = b"" if sound is None else await _talk(child, sound)
            answered = True
        except (OSError, asyncio.IncompleteReadError) as error:
            raise EngineError(f"{self.name} broke off: {error}") from error
        finally:
            if not answered:
                await self._end()
        return answer

    async def _start(self) -> Process:
        # It sees where our modules are, and nothing else of our environment: no password.
        self._child = child = await asyncio.create_subprocess_exec(
            *_CHILD,
            stdin=PIPE,
            stdout=PIPE,
            stderr=DEVNULL,
            env={"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )
        await _read_frame(child)
        return child

    async def _end(self) -> None:
        child, self._child = self._child, None
        if child is None:
            return
        if child.returncode is None:
            child.kill()
        await child.wait()


async def _talk(child: Process, sound: bytes) -> bytes:
    assert child.stdin is not None  # noqa: S101 - it was asked for as a pipe
    child.stdin.write(sphinx_child.LENGTH.pack(len(sound)) + sound)
    await child.stdin.drain()
    return await _read_frame(child)


async def _read_frame(child: Process) -> bytes:
    assert child.stdout is not None  # noqa: S101 - it was asked for as a pipe
    head = await child.stdout.readexactly(sphinx_child.LENGTH.size)
    length: int = sphinx_child.LENGTH.unpack(head)[0]
    if length > TEXT_BYTES:
        raise EngineError(f"pocketsphinx sent {length} bytes, expected at most {TEXT_BYTES}")
    return await child.stdout.readexactly(length)
