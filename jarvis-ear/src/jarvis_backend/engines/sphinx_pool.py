"""A pool of decoder processes, and the queue of recordings in front of it."""

import asyncio
import os
import sys
import time
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final

import numpy as np
import numpy.typing as npt

from jarvis_backend.engines import sphinx_child
from jarvis_backend.errors import EngineBusy, EngineError
from jarvis_ear.units import seconds

FIRST_PACE: Final = 0.2
"""Initial pace, in seconds of work per second of sound: on an idle core of 2020 pocketsphinx takes
0.16 for a long phrase, and a little more for a command."""

INERTIA: Final = 0.8
"""Weight of the previous pace after each utterance: the estimate follows a change of load within
five utterances, and no single one dominates it."""


class Backlog:
    """Counts the utterances that are waiting or being decoded. Lives on the loop; has no clock.

    Bound: ``max_waiting`` utterances, and what ``decoders`` can decode within ``max_wait_s`` at the
    measured pace. Policy: one more is refused. Counter: ``refused``. While a decoder is free
    nothing is refused, so that a wrong pace is always corrected.
    """

    def __init__(self, decoders: int, max_waiting: int, max_wait_s: float) -> None:
        self._decoders = decoders
        self._max_waiting = max_waiting
        self._max_wait_s = max_wait_s
        self._pace = FIRST_PACE
        self._count = 0
        self._sound_s = 0.0
        self.refused = 0

    def add(self, sound_s: float) -> None:
        """Add an utterance, which has to be removed once. Raises EngineBusy."""
        if self._count >= self._decoders:
            try:
                self._check(sound_s)
            except EngineBusy:
                self.refused += 1
                raise
        self._count += 1
        self._sound_s += sound_s

    def remove(self, sound_s: float) -> None:
        """Remove an utterance, decoded or not."""
        self._count -= 1
        self._sound_s -= sound_s

    def record(self, work_s: float, sound_s: float) -> None:
        """Update the pace with the time that decoding an utterance took."""
        if sound_s > 0:
            self._pace = INERTIA * self._pace + (1 - INERTIA) * work_s / sound_s

    def _check(self, sound_s: float) -> None:
        waiting = self._count - self._decoders
        if waiting >= self._max_waiting:
            raise EngineBusy(
                f"STT service not available: it is busy, {waiting} utterances wait already"
            )
        estimate_s = (self._sound_s / self._decoders + sound_s) * self._pace
        if estimate_s > self._max_wait_s:
            raise EngineBusy(
                f"STT service not available: it is busy, this would take {estimate_s:.0f} s, "
                f"expected at most {self._max_wait_s:g} s"
            )


TEXT_BYTES: Final = 1024 * 1024
"""Maximum length of an answer of the decoder: hours of speech."""

NAME: Final = "pocketsphinx"

_ONE_THREAD: Final = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


class SphinxProcess:
    """A child process that runs a decoder module. Lives on the loop.

    It answers one request at a time. Cancelling a request kills the process, and the next request
    starts another one.
    """

    def __init__(self, timeout_s: float, module: str, *arguments: str) -> None:
        """Run ``module``; ``timeout_s`` is for a request including its wait for others."""
        self._command = (sys.executable, "-m", module, *arguments)
        self._timeout_s = timeout_s
        self._lock = asyncio.Lock()
        self._child: Process | None = None

    async def prepare(self) -> None:
        """Start the process and load its model, which takes about a second."""
        await self._ask(None)

    async def ask(self, content: bytes) -> str:
        """Send ``content`` and return the text of the answer. Raises EngineError."""
        return (await self._ask(content)).decode()

    async def aclose(self) -> None:
        """Kill the process."""
        child, self._child = self._child, None
        if child is None:
            return
        if child.returncode is None:
            child.kill()
        await child.wait()
        if child.stdin is not None:
            with suppress(OSError):  # unwritten input does not matter
                await child.stdin.wait_closed()

    async def _ask(self, content: bytes | None) -> bytes:
        try:
            async with asyncio.timeout(self._timeout_s), self._lock:
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
        # The environment holds the path of the modules, but no password. Decoding uses one core,
        # and numpy would start a thread for each of the others.
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
    """Return the error of a request that took longer than ``timeout_s``."""
    return EngineError(f"{NAME} took more than {timeout_s:g} s")


async def _talk(child: Process, content: bytes) -> bytes:
    assert child.stdin is not None  # noqa: S101 - it is a pipe
    child.stdin.write(sphinx_child.LENGTH.pack(len(content)) + content)
    await child.stdin.drain()
    return await _read_frame(child)


async def _read_frame(child: Process) -> bytes:
    assert child.stdout is not None  # noqa: S101 - it is a pipe
    head = await child.stdout.readexactly(sphinx_child.LENGTH.size)
    length: int = sphinx_child.LENGTH.unpack(head)[0]
    if length > TEXT_BYTES:
        raise EngineError(f"{NAME} sent {length} bytes, expected at most {TEXT_BYTES}")
    return await child.stdout.readexactly(length)


IDLE_S: Final = 60.0
"""Seconds after which an unused process is ended, to free its 125 MB: a household that speaks all
at the same time does so again within a minute, or not at all."""

MAX_WAIT_SHARE: Final = 0.8
"""Part of the time-out that a wait may be estimated at: a longer one might run into the time-out,
which kills a process."""


class SphinxPool:
    """Decodes utterances in order, one in each process at a time. Lives on the loop.

    ``prepare`` starts the first process, which stays. The others start when they are needed and end
    when they have been unused for ``IDLE_S``. Cancelling a request removes it from the queue, or
    kills the process that decodes it. Bound, policy and counter are those of ``backlog``.
    """

    def __init__(self, module: str, processes: int, max_waiting: int, timeout_s: float) -> None:
        """Run ``module``; ``timeout_s`` is for a request including its wait in the queue."""
        self._processes = [SphinxProcess(timeout_s, module) for _ in range(processes)]
        self._free = list(range(processes))
        self._slots = asyncio.Semaphore(processes)
        self._timeout_s = timeout_s
        self._idle_timers: dict[int, asyncio.TimerHandle] = {}
        self._ending: set[asyncio.Task[None]] = set()
        self.backlog = Backlog(processes, max_waiting, MAX_WAIT_SHARE * timeout_s)

    async def prepare(self) -> None:
        """Start the first process and load its model: a second or so."""
        await self._processes[0].prepare()

    async def transcribe(self, pcm: npt.NDArray[np.int16]) -> str:
        """Decode ``pcm`` in one of the processes. Raises EngineError."""
        sound_s = seconds(len(pcm))
        self.backlog.add(sound_s)
        try:
            async with asyncio.timeout(self._timeout_s), self._slots, self._reserve() as process:
                await process.prepare()  # the pace does not include loading the model
                began = time.monotonic()
                text = await process.ask(pcm.astype("<i2").tobytes())
                self.backlog.record(time.monotonic() - began, sound_s)
                return text
        except TimeoutError:
            raise too_late(self._timeout_s) from None
        finally:
            self.backlog.remove(sound_s)

    async def aclose(self) -> None:
        """Kill the processes."""
        for timer in self._idle_timers.values():
            timer.cancel()
        self._idle_timers.clear()
        for process in self._processes:
            await process.aclose()
        if self._ending:
            await asyncio.wait(self._ending)

    @asynccontextmanager
    async def _reserve(self) -> AsyncIterator[SphinxProcess]:
        """Reserve the first free process, so that the later ones become idle."""
        number = min(self._free)
        self._free.remove(number)
        if (timer := self._idle_timers.pop(number, None)) is not None:
            timer.cancel()
        try:
            yield self._processes[number]
        finally:
            self._free.append(number)
            if number > 0:
                loop = asyncio.get_running_loop()
                self._idle_timers[number] = loop.call_later(IDLE_S, self._end, number)

    def _end(self, number: int) -> None:
        del self._idle_timers[number]
        task = asyncio.create_task(self._processes[number].aclose())
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)
