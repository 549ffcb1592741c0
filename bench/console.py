"""What an open console costs the ear."""

import asyncio
import os
import re
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from aiohttp import ClientSession, WSMsgType
from aiohttp import ClientWebSocketResponse as Socket

from bench.material import ROOT, Collection, quiet_room
from bench.scale import Scale
from bench.table import Figure, Row, Table
from jarvis_ear.audio.wav import pcm_to_wav

NOBODY: Final = "http://127.0.0.1:9"
"""The discard port: hearing does not depend on a backend."""

PAGES: Final = (0, 1, 10)
"""Numbers of open pages."""

ROUNDS: Final = 3
"""Rounds through all numbers of pages, so that other load affects all of them alike."""

TARGET: Final = 1.0
"""Maximum per cent of a processor that ten open pages may cost the ear."""

SPARE_S: Final = 60
"""Seconds of sound in addition to the measured ones, for the start."""


@dataclass(slots=True)
class _Cost:
    """CPU time used with one number of open pages."""

    ear_s: float = 0.0
    console_s: float = 0.0
    messages: int = 0
    """Messages that the pages received."""
    counts: bool = False
    """Whether messages are counted at present."""


def console(scale: Scale, _collection: Collection) -> list[Table]:
    """Run an ear in a quiet room and a console, and open pages."""
    costs = asyncio.run(_measure(scale.console_s))
    lasted = scale.console_s * ROUNDS
    idle = costs[0]
    rows: list[Row] = [
        (
            str(pages),
            _percent(cost.ear_s, lasted),
            _percent(cost.ear_s - idle.ear_s, lasted, TARGET),
            _percent(cost.console_s, lasted),
            Figure(cost.messages / lasted / max(pages, 1), ".1f", "/s"),
        )
        for pages, cost in costs.items()
    ]
    return [
        Table(
            "CPU of the ear with open pages of the console, in per cent of one processor",
            ("open pages", "the ear", "more than unwatched", "the console", "news"),
            rows,
            f"ten pages cost the ear < {TARGET:g} %",
            ["a quiet room in real time; news: messages to each page"],
        )
    ]


async def _measure(every_s: float) -> dict[int, _Cost]:
    costs = {pages: _Cost() for pages in PAGES}
    with ExitStack() as up:
        folder = Path(up.enter_context(tempfile.TemporaryDirectory()))
        length_s = every_s * ROUNDS * len(PAGES) + SPARE_S
        ear = up.enter_context(_ear(folder, length_s))
        for _ in range(ROUNDS):
            for pages, cost in costs.items():
                await _look(folder, ear, pages, every_s, cost)
    return costs


async def _look(folder: Path, ear: int, pages: int, every_s: float, cost: _Cost) -> None:
    """Keep pages open for a while. With 0 pages, no console runs."""
    async with AsyncExitStack() as up:
        console = 0
        if pages:
            console, address = up.enter_context(_console(folder))
            session = await up.enter_async_context(ClientSession())
            for _ in range(pages):
                socket = await up.enter_async_context(_page(session, address))
                up.callback(asyncio.create_task(_count(socket, cost)).cancel)
        await asyncio.sleep(1)  # the cost of opening is not measured
        cost.counts = True
        before = _used(ear), _used(console)
        await asyncio.sleep(every_s)
        cost.ear_s += _used(ear) - before[0]
        cost.console_s += _used(console) - before[1]
        cost.counts = False


def _page(session: ClientSession, address: str) -> AbstractAsyncContextManager[Socket]:
    page, _, token = address.partition("#token=")
    return session.ws_connect(f"{page}/feed", protocols=("jarvis-console", f"token.{token}"))


async def _count(socket: Socket, cost: _Cost) -> None:
    async for message in socket:
        cost.messages += cost.counts and message.type is WSMsgType.TEXT


@contextmanager
def _ear(folder: Path, length_s: float) -> Iterator[int]:
    sound = folder / "quiet.wav"
    sound.write_bytes(pcm_to_wav(quiet_room("console", length_s).astype("<i2").tobytes()))
    options = ["--input", str(sound), "--backend-url", NOBODY, "--speaker.device", "none"]
    with _running(folder, "run", *options) as process:
        for line in process.stderr or ():
            if re.search(r"\bhearing\b", line):
                break
        threading.Thread(target=_drain, args=(process,), daemon=True).start()
        yield process.pid


@contextmanager
def _console(folder: Path) -> Iterator[tuple[int, str]]:
    with _running(folder, "console", "--port", "0") as process:
        assert process.stdout is not None  # noqa: S101 - it was asked for as a pipe
        yield process.pid, process.stdout.readline().strip()


def _drain(process: "subprocess.Popen[str]") -> None:
    for _ in process.stderr or ():
        pass


@contextmanager
def _running(folder: Path, *words: str) -> Iterator["subprocess.Popen[str]"]:
    """Run a verb of this project in separate folders, and end it."""
    own = {"RUNTIME_DIRECTORY": str(folder), "STATE_DIRECTORY": str(folder)}
    with subprocess.Popen(  # noqa: S603 - our own program
        [sys.executable, "-m", "jarvis_ear", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, **own},
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def _used(pid: int) -> float:
    """Return the CPU seconds of a process so far, to the nanosecond; 0 for none."""
    tasks = Path(f"/proc/{pid}/task").iterdir() if pid else ()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9


def _percent(used_s: float, lasted_s: float, at_most: float | None = None) -> Figure:
    return Figure(100 * used_s / lasted_s, ".2f", " %", at_most)
