"""Hooks: tells programs and a URL what the ear does, to switch an LED for example."""

import asyncio
import logging
import threading
import time
from collections.abc import Awaitable, Callable, Mapping
from functools import cached_property
from typing import Final, Self

from jarvis_ear.config import HOOKS, HookOptions
from jarvis_ear.hooks.event import HookEvent, HookQueue
from jarvis_ear.hooks.receivers import (
    HookFailedError,
    missing_programs,
    post_body,
    run_program,
)
from jarvis_ear.journal.life import HOOK_FAILED
from jarvis_ear.link.network_thread import NetworkThread, run_together
from jarvis_ear.link.tls_and_tcp import TrustStore, address
from jarvis_ear.log.throttle import Throttle

_LOGGER = logging.getLogger(__name__)

URL: Final = "url"
"""Option of the receiver that is not a program."""

STOP_S: Final = 1.0
"""Maximum seconds of a stop, which kills the running program and closes the connection."""


class Hooks:
    """Tells the configured receivers each event. Any thread may post; no call blocks.

    The main thread starts, changes and stops it. The thread "hooks" exists only once a hook is
    configured: it runs one program at a time, and posts to the URL at the same time. One lock keeps
    events and options in order.
    """

    def __init__(
        self, options: HookOptions, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._options = options
        self._monotonic = monotonic
        self._lock = threading.Lock()  # protects _options with _state
        self._state: HookEvent | None = None
        self._programs = HookQueue()
        self._posts = HookQueue()
        self._throttles: Mapping[str, Throttle] = {}
        self._thread = NetworkThread(self._run, "jarvis-ear-hooks")
        self._is_open = False
        self.failed = 0
        """Events that a receiver did not take."""

    def post(self, event: HookEvent) -> None:
        """Tell the receivers of this event. Any thread."""
        with self._lock:
            if event.is_state:
                self._state = event
            self._put(event)

    def change(self, options: HookOptions) -> None:
        """Use other options, and tell the new receivers the state of the ear."""
        with self._lock:
            self._options = options
            if self._state is not None:
                self._put(self._state)
        self._begin()

    def counters(self) -> Mapping[str, int]:
        """Return how many events were not delivered, and how many states a newer one replaced."""
        return {
            "hooks_failed": self.failed,
            "hooks_dropped": self._programs.dropped + self._posts.dropped,
            "hooks_replaced": self._programs.replaced + self._posts.replaced,
        }

    def __enter__(self) -> Self:
        self._is_open = True
        self._begin()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_open = False
        self._thread.stop(STOP_S)

    def _put(self, event: HookEvent) -> None:
        """Queue an event for its receivers. Called under the lock."""
        if event.name in self._options.programs:
            self._programs.post(event)
        if self._options.url:
            self._posts.post(event)

    def _begin(self) -> None:
        """Warn of programs that are not there, and start the thread if it has something to do."""
        throttles = {name: Throttle() for name in (*HOOKS, URL)}
        for name, reason in missing_programs(self._options):
            throttles[name].allows(self._monotonic())
            self._warn(name, reason)
        self._throttles = throttles
        is_needed = self._options.programs or self._options.url
        if self._is_open and is_needed and not self._thread.alive:
            self._thread.start()

    async def _run(self, stop: asyncio.Event) -> None:
        await run_together(
            self._serve(self._programs, self._tell_program),
            self._serve(self._posts, self._tell_url),
            stop.wait(),
        )

    async def _serve(self, events: HookQueue, tell: Callable[[HookEvent], Awaitable[None]]) -> None:
        """Deliver one event after the other until cancelled."""
        arrived = asyncio.Event()
        with events.waking(arrived.set):
            while True:
                arrived.clear()
                while (event := events.take()) is not None:
                    await tell(event)
                await arrived.wait()

    @cached_property
    def _trust_store(self) -> TrustStore:
        """The certificate authorities of the system: they take 10 ms to read, once."""
        return TrustStore()

    async def _tell_program(self, event: HookEvent) -> None:
        options = self._options  # a reload may replace it meanwhile
        command = options.programs.get(event.name)
        if command is None:
            return
        try:
            await run_program(command, event.body(), options.timeout_s)
        except HookFailedError as error:
            self._fail(event.name, command[0], str(error))

    async def _tell_url(self, event: HookEvent) -> None:
        options = self._options
        if not options.url:
            return
        try:
            await post_body(options.url, event.body(), options.timeout_s, self._trust_store)
        except HookFailedError as error:
            self._fail(URL, address(options.url), str(error))

    def _fail(self, name: str, receiver: str, reason: str) -> None:
        self.failed += 1
        if self._throttles[name].allows(self._monotonic()):
            self._warn(name, f"{receiver}: {reason}")

    def _warn(self, name: str, reason: str) -> None:
        fields = HOOK_FAILED.fields(HOOK=name, REASON=reason)
        _LOGGER.warning("hooks.%s: %s", name, reason, extra=fields)
