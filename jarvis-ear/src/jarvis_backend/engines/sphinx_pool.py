"""SphinxPool: processes that decode, and the recordings that wait for one."""

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
"""Seconds of work for a second of sound until it was measured: pocketsphinx on an idle core of
2020 takes 0.16 for a long phrase, and a little more for a command."""

INERTIA: Final = 0.8
"""How much of the pace so far stays after each utterance: it follows a machine that gets busy
within five of them, and no single one decides."""


class Backlog:
    """Counts what was let in and is not understood yet. Lives on the loop; has no clock.

    Bound: ``most`` utterances, and what ``decoders`` can work off within ``patience_s`` at the
    pace measured so far. Policy: one more is refused. Counter: ``refused``. While a decoder is
    free nobody is refused: a wrong pace could never be mended.
    """

    def __init__(self, decoders: int, most: int, patience_s: float) -> None:
        self._decoders = decoders
        self._most = most
        self._patience_s = patience_s
        self._pace = FIRST_PACE
        self._inside = 0
        self._sound_s = 0.0
        self.refused = 0

    def enter(self, sound_s: float) -> None:
        """Let an utterance in, or raise ``EngineBusy``. Each that is let in leaves once."""
        if self._inside >= self._decoders:
            try:
                self._refuse_late(sound_s)
            except EngineBusy:
                self.refused += 1
                raise
        self._inside += 1
        self._sound_s += sound_s

    def leave(self, sound_s: float) -> None:
        """Forget an utterance, understood or not."""
        self._inside -= 1
        self._sound_s -= sound_s

    def took(self, work_s: float, sound_s: float) -> None:
        """Learn from one that was understood how long the next ones will take."""
        if sound_s > 0:
            self._pace = INERTIA * self._pace + (1 - INERTIA) * work_s / sound_s

    def _refuse_late(self, sound_s: float) -> None:
        waiting = self._inside - self._decoders
        if waiting >= self._most:
            raise EngineBusy(
                f"STT service not available: it is busy, {waiting} utterances wait already"
            )
        expected_s = (self._sound_s / self._decoders + sound_s) * self._pace
        if expected_s > self._patience_s:
            raise EngineBusy(
                f"STT service not available: it is busy, this would take {expected_s:.0f} s, "
                f"expected at most {self._patience_s:g} s"
            )


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


IDLE_S: Final = 60.0
"""A process that nobody needed for so long is ended, and gives 125 MB back: a household that
speaks at once does so again in the same minute or not at all."""

FORESEEN: Final = 0.8
"""How much of the time-out somebody may be expected to need. Whoever is expected to need just all
of it would often run into it after all, and take a process along."""


class SphinxPool:
    """Decodes utterances, as many at once as there are processes. Lives on the loop.

    First come, first served. The first process is started by ``prepare`` and stays; each other one
    when it is needed, until nobody needed it for ``IDLE_S``. Whoever stops waiting in the queue
    leaves it, and whoever stops waiting later takes the process with them: its own, no other.
    Bound, policy and counter of the queue are those of ``backlog``.
    """

    def __init__(self, module: str, processes: int, most_waiting: int, timeout_s: float) -> None:
        """Run ``module``; ``timeout_s`` is for the wait in the queue and the work together."""
        self._processes = [SphinxProcess(module, timeout_s) for _ in range(processes)]
        self._free = list(range(processes))
        self._turn = asyncio.Semaphore(processes)
        self._timeout_s = timeout_s
        self._resting: dict[int, asyncio.TimerHandle] = {}
        self._ending: set[asyncio.Task[None]] = set()
        self.backlog = Backlog(processes, most_waiting, FORESEEN * timeout_s)

    async def prepare(self) -> None:
        """Start the first process and load its model: a second or so."""
        await self._processes[0].prepare()

    async def transcribe(self, pcm: npt.NDArray[np.int16]) -> str:
        """Have one of the processes decode ``pcm``. Raises ``EngineError``."""
        sound_s = seconds(len(pcm))
        self.backlog.enter(sound_s)
        try:
            async with asyncio.timeout(self._timeout_s), self._turn, self._taken() as process:
                await process.prepare()  # to load a model says nothing of the pace
                began = time.monotonic()
                text = await process.ask(pcm.astype("<i2").tobytes())
                self.backlog.took(time.monotonic() - began, sound_s)
                return text
        except TimeoutError:
            raise too_late(self._timeout_s) from None
        finally:
            self.backlog.leave(sound_s)

    async def aclose(self) -> None:
        """End the processes, whatever they are doing."""
        for rest in self._resting.values():
            rest.cancel()
        self._resting.clear()
        for process in self._processes:
            await process.aclose()
        if self._ending:
            await asyncio.wait(self._ending)

    @asynccontextmanager
    async def _taken(self) -> AsyncIterator[SphinxProcess]:
        """Take the first that is free: so the later ones come to rest."""
        number = min(self._free)
        self._free.remove(number)
        if (rest := self._resting.pop(number, None)) is not None:
            rest.cancel()
        try:
            yield self._processes[number]
        finally:
            self._free.append(number)
            if number > 0:
                loop = asyncio.get_running_loop()
                self._resting[number] = loop.call_later(IDLE_S, self._end, number)

    def _end(self, number: int) -> None:
        del self._resting[number]
        task = asyncio.create_task(self._processes[number].aclose())
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)
