"""``jarvis-ear monitor``: shows an ear in a terminal until Ctrl-C."""

import asyncio
import os
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

from rich.console import Console
from rich.live import Live

from jarvis_ear import paths
from jarvis_ear.control.ear_client import EarClient
from jarvis_ear.control.feed import Feed, News, Snapshot, encode
from jarvis_ear.monitor.screen import Screen, Watch
from jarvis_ear.options.verbs import print_text

if TYPE_CHECKING:
    from jarvis_ear.config import Config
    from jarvis_ear.monitor.local_ear import LocalEar

DRAW_S: Final = 0.2
"""Seconds between two drawings: quick enough for a level, and little enough for ssh."""

Show: TypeAlias = Callable[[News | None], int]
"""Shows news, or the passing of time; returns 0, or the exit status if the reader has gone."""

Load: TypeAlias = "Callable[[], Config]"
"""Returns the options of the command line; raises ``ConfigError``."""


def monitor(file: str, words: Sequence[str], load: Load, *, as_json: bool) -> int:
    """Show the ear until SIGINT or SIGTERM; return the exit status.

    It is the running ear, or, with a sound file or ``words``, the options of the command line, an
    ear in this process. ``load`` reads them. A terminal that cannot move its cursor, a pipe and a
    file get a line for each event instead of a screen. With ``as_json`` each line is one of the
    feed. Raises ``JarvisEarError``.
    """
    with ExitStack() as stack:
        local = stack.enter_context(_local_ear(file, load())) if file or words else None
        status = _show(local, as_json=as_json)
    if local is not None and local.failure is not None:
        raise local.failure
    return status


def _local_ear(file: str, options: "Config") -> "LocalEar":
    from jarvis_ear.monitor.local_ear import LocalEar  # noqa: PLC0415 - loads the models

    changes = {"fallback": "", "fast": False, **({"input": file} if file else {})}
    microphone = options.microphone.model_copy(update=changes)
    return LocalEar(options.model_copy(update={"microphone": microphone}))


def _show(local: "LocalEar | None", *, as_json: bool) -> int:
    console, watch = Console(highlight=False, markup=False, emoji=False), Watch()
    if as_json:
        return asyncio.run(_follow(_print_json, local))
    if not console.is_terminal or console.is_dumb_terminal:
        return asyncio.run(_follow(partial(_print_lines, watch), local))
    with Live(console=console, screen=True, auto_refresh=False) as live:
        status = asyncio.run(_follow(partial(_draw, watch, live), local))
    if local is not None and local.is_over and local.failure is None:
        console.print(Screen(watch, datetime.now()))  # noqa: DTZ005 - on the wall
    return status


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


async def _follow(show: Show, local: "LocalEar | None") -> int:
    """Show the news of a feed until it ends, a signal, or a closed output; return the status."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, stop.set)
    feed = Feed() if local is None else local.feed
    subscription = feed.subscribe()
    client = None if local else asyncio.create_task(EarClient(_sockets, feed).run())
    status, is_over = 0, False
    while not status and not is_over and not stop.is_set():
        if local is not None:
            is_over = local.is_over  # before the last news
            local.look()
        news = subscription.fetch()
        status = show(news if news != Snapshot({}) else None)  # nothing is known at first
        with suppress(TimeoutError):
            async with asyncio.timeout(0 if is_over else DRAW_S):
                await stop.wait()
    if client is not None:
        client.cancel()
    return status


def _sockets() -> list[Path]:
    return list(paths.sockets(os.environ))
