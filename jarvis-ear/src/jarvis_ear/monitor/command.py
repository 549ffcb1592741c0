"""``jarvis-ear monitor``: shows a running ear in a terminal until Ctrl-C."""

import asyncio
import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Final, TypeAlias

from rich.console import Console
from rich.live import Live

from jarvis_ear import paths
from jarvis_ear.control.ear_client import EarClient
from jarvis_ear.control.feed import Feed, News, Snapshot, encode
from jarvis_ear.monitor.screen import Screen, Watch
from jarvis_ear.options.verbs import print_text

DRAW_S: Final = 0.2
"""Seconds between two drawings: quick enough for a level, and little enough for ssh."""

Show: TypeAlias = Callable[[News | None], int]
"""Shows news, or that time goes on; returns 0, or the exit status if nobody reads any more."""


def monitor(*, as_json: bool) -> int:
    """Show the ear until SIGINT or SIGTERM; return the exit status.

    A terminal that cannot move its cursor, a pipe and a file get a line for each event instead of
    a screen. With ``as_json`` each line is one of the feed.
    """
    console, watch = Console(highlight=False, markup=False, emoji=False), Watch()
    if as_json:
        return asyncio.run(_follow(_print_json))
    if not console.is_terminal or console.is_dumb_terminal:
        return asyncio.run(_follow(partial(_print_lines, watch)))
    with Live(console=console, screen=True, auto_refresh=False) as live:
        return asyncio.run(_follow(partial(_draw, watch, live)))


def _print_json(news: News | None) -> int:
    return print_text(f"{encode(news)}\n") if news is not None else 0


def _print_lines(watch: Watch, news: News | None) -> int:
    lines = watch.apply(news, time.monotonic()) if news is not None else []
    now = f"{datetime.now():%H:%M:%S}"  # noqa: DTZ005 - on the wall
    return print_text("".join(f"{now} {line}\n" for line in lines)) if lines else 0


def _draw(watch: Watch, live: Live, news: News | None) -> int:
    if news is not None:
        watch.apply(news, time.monotonic())
    live.update(Screen(watch, datetime.now()), refresh=True)  # noqa: DTZ005 - on the wall
    return 0


async def _follow(show: Show) -> int:
    """Copy the feed and show its news until a signal, or until nobody reads; return the status."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, stop.set)
    feed = Feed()
    subscription = feed.subscribe()
    client = asyncio.create_task(EarClient(_sockets, feed).run())
    status = 0
    while not status and not stop.is_set():
        news = subscription.fetch()
        status = show(news if news != Snapshot({}) else None)  # nothing is known at first
        with suppress(TimeoutError):
            async with asyncio.timeout(DRAW_S):
                await stop.wait()
    client.cancel()
    return status


def _sockets() -> list[Path]:
    return list(paths.sockets(os.environ))
