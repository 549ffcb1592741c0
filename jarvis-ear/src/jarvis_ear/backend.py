"""BackendClient: the face of the network towards the rest of the ear."""

import asyncio
import logging
import os
import random
import secrets
import threading
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from functools import partial
from types import TracebackType
from typing import Any, Final, Self

from jarvis_ear import config as defaults
from jarvis_ear.audio.wav import pcm_to_wav
from jarvis_ear.config import Backend
from jarvis_ear.delivery.carriage import Carriage
from jarvis_ear.delivery.events import DeliveryEvent
from jarvis_ear.delivery.outage import Outage
from jarvis_ear.delivery.outbox import Outbox
from jarvis_ear.delivery.revival import Promise
from jarvis_ear.delivery.utterance import Utterance
from jarvis_ear.errors import ConfigError
from jarvis_ear.journal.link import PLAINTEXT
from jarvis_ear.transports.courier import Courier
from jarvis_ear.transports.dialer import Dialer
from jarvis_ear.transports.exposure import address, is_exposed
from jarvis_ear.transports.intake import Abandon, Discard, Grew, Intake, Put
from jarvis_ear.transports.login import Login
from jarvis_ear.transports.network_thread import NetworkThread
from jarvis_ear.transports.spool import NoSpool, Spool
from jarvis_ear.transports.status import LinkState, Status
from jarvis_ear.transports.supervisor import Supervisor
from jarvis_ear.transports.timing import Timing
from jarvis_ear.transports.token import TokenCache
from jarvis_ear.transports.trust import Trust
from jarvis_ear.transports.wires import WIRES, Proof
from jarvis_ear.units import SAMPLE_BYTES

__all__ = ["BackendClient", "pcm_to_wav"]

_LOGGER = logging.getLogger(__name__)

_ENVIRONMENT: Final[Mapping[str, str]] = {
    "url": "BACKEND_URL",
    "password": "JARVIS_PASSWORD",
    "agent_id": "AGENT_ID",
}
"""Options of the backend, and the names that give them: in the environment or in ``config``."""


class BackendClient:
    """Delivers utterances to the backend and says what becomes of them. Any thread may use it.

    It owns the network thread. No method raises into the audio, and only ``connect`` and
    ``disconnect`` wait, both within a deadline. Every utterance given to ``send_audio`` ends in
    exactly one ``Finished`` event; one that is given after ``disconnect`` waits for the next start.

    ``on_event`` is called on the network thread and must not wait. With a ``spool``, an utterance
    that is not committed at the end gets ``Kept`` instead of ``Finished``, and the next client with
    that spool goes on with it; without, nothing outlives the process.
    """

    def __init__(
        self,
        config: Backend | None = None,
        *,
        on_event: Callable[[DeliveryEvent], None] | None = None,
        timing: Timing | None = None,
        spool: Spool | None = None,
        now: Callable[[], float] | None = None,
    ) -> None:
        self._spool = spool or NoSpool()
        self._clock = now or clock
        self._on_event = on_event or _nobody
        self._given_timing = timing or Timing()
        self._take(*checked(_from_environment() if config is None else config))
        self._intake = Intake()
        self._courier: Courier | None = None
        self._status = Status()
        self._lifecycle = threading.Lock()
        self._thread: NetworkThread | None = None
        self._begin_anew: Callable[[], None] = _do_nothing

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.disconnect()

    @property
    def connected(self) -> bool:
        """Whether an utterance could go up now."""
        return self._status.connected

    @property
    def state(self) -> LinkState:
        """How things stand with the link, and if the password is the matter."""
        return self._status.state

    @property
    def address(self) -> str:
        """Where the backend is, as people may see it: without a name or a password in it."""
        return address(self._url)

    @property
    def trouble(self) -> tuple[str, str]:
        """Why the link is down, and what to do about it; both empty: nothing is wrong."""
        return self._status.trouble

    @property
    def growth_ms(self) -> int:
        """How much more of an utterance is worth a call of ``extend``."""
        return self._wire.growth_ms

    @property
    def turns(self) -> int:
        """How often the network thread has looked at everything: once a second, or it hangs."""
        courier = self._courier
        return 0 if courier is None else courier.turns

    @property
    def idle(self) -> bool:
        """Whether every utterance has its verdict."""
        courier = self._courier
        return not self._intake.waiting and (courier is None or courier.open == 0)

    def counters(self) -> Mapping[str, int]:
        """Return how often each bound was met since the client was made."""
        courier = self._courier
        counts = {"commands_dropped": self._intake.dropped, **self._spool.counters()}
        return counts if courier is None else {**counts, **courier.counters()}

    def start(self) -> None:
        """Begin to reach the backend, and go on for ever. Returns at once."""
        with self._lifecycle:
            if self._thread is not None and self._thread.alive:
                return
            self._status.forget()
            self._thread = NetworkThread(self._supervise)
            self._thread.start()

    def prepare(self, config: Backend) -> Callable[[], None]:
        """Check other options, and return what goes on with them; or raise ``ConfigError``.

        Calling that takes no time: the network thread ends its link in order and makes another.
        What is not committed by then is delivered with the new options, if there is a spool.
        """
        usable = checked(config)

        def go_on() -> None:
            self._take(*usable)
            self._begin_anew()

        return go_on

    def connect(self) -> bool:
        """Start, and return whether the first attempt succeeded. The attempts go on if not."""
        try:
            self.start()
        except RuntimeError:  # the system gives us no thread
            _LOGGER.exception("the network cannot be started")
            return False
        return self._status.wait_tried(self._timing.login_s + self._timing.connect_s)

    def send_audio(self, captured_audio: bytes, *, turn_id: str | None = None) -> str:
        """Have this PCM16 delivered, now or when the link is back. Returns the name of its turn.

        A name of your own must never have been used, as far as the ledger reaches. The age of the
        utterance counts from here.
        """
        name = secrets.token_hex(4) if turn_id is None else turn_id
        self._intake.post(Put(_utterance(name, bytes(captured_audio), self._clock())))
        return name

    def extend(self, turn_id: str, offset: int, pcm: bytes) -> None:
        """Take what somebody has said so far. ``send_audio`` brings the whole of it.

        It is kept on file, where there is a spool, and goes up, where the wire streams.
        """
        if self._wants_growth:
            self._intake.post(Grew(turn_id, offset, bytes(pcm)))

    def discard(self, turn_id: str) -> None:
        """Forget what was said so far, and take it back: it was no utterance."""
        if self._wants_growth:
            self._intake.post(Discard(turn_id))

    def abandon(self, turn_id: str) -> None:
        """End a turn: the person said something newer. Nothing of its reply arrives any more."""
        self._intake.post(Abandon(turn_id))

    def disconnect(self) -> None:
        """End all turns and the network thread, within two seconds whatever the backend does."""
        with self._lifecycle:
            thread, self._thread = self._thread, None
            if self._intake.waiting and (thread is None or not thread.alive):
                thread = self._last_words()
        if thread is not None and not thread.stop(self._timing.stop_s):
            _LOGGER.warning("the network did not stop within %.1f s", self._timing.stop_s)

    @property
    def _wants_growth(self) -> bool:
        streams = self._wire.carriage is Carriage.STREAMED
        return streams or not isinstance(self._spool, NoSpool)

    def _last_words(self) -> NetworkThread:
        """Start a thread that only tells what became of the utterances nobody fetched."""
        thread = NetworkThread(self._supervise)
        thread.stop(0.0)
        thread.start()
        return thread

    def _take(self, config: Backend, trust: Trust) -> None:
        self._config = config
        self._trust = trust
        self._timing = _timing(config, self._given_timing)
        self._url = config.url.rstrip("/")
        self._wire = WIRES[config.protocol]

    async def _supervise(self, stop: asyncio.Event) -> None:
        """Live until ``stop``, and once more whenever there are other options."""
        while not await self._live(stop):
            self._status.forget()

    async def _live(self, stop: asyncio.Event) -> bool:
        """Live with the present options, and return whether that was the last life."""
        loop, over = asyncio.get_running_loop(), asyncio.Event()
        self._begin_anew = partial(_call_soon, loop, over.set)
        promise = Promise(self._config.delivery)
        outbox = Outbox(
            self._config.agent_id, self._timing.patience, promise.moves, self._wire.carriage
        )
        courier = Courier(outbox, self._intake, self._spool, self._tell, self._clock)
        self._courier = courier.succeed(self._courier)
        await courier.inherit(self._spool.begin(self._timing.patience.fresh_s, promise))
        supervisor = Supervisor(
            self._dialer(courier),
            courier,
            self._status,
            Outage(address(self._url)),
            tell=self._tell,
            clock=self._clock,
            rand=random.random,
        )
        self._intake.listen(lambda: _call_soon(loop, courier.wake))
        try:
            async with _set_with(stop, over):
                return await supervisor.run(over, stop.is_set)
        finally:
            self._intake.unlisten()

    def _dialer(self, courier: Courier) -> Dialer:
        if is_exposed(self._url):
            told = PLAINTEXT.told(BACKEND=address(self._url))
            words = "password and voice go to %s unencrypted: use https"
            _LOGGER.warning(words, address(self._url), extra=told)
        password = self._config.password.get_secret_value()
        login = Login(self._url, password, self._timing.login_s, self._trust)
        config, timing, trust, wire = self._config, self._timing, self._trust, self._wire
        return Dialer(
            TokenCache(login.token, self._clock),
            lambda: wire.link(config, timing, courier.wake, trust),
            wire.admittance,
        )

    def _tell(self, event: DeliveryEvent) -> None:
        try:
            self._on_event(event)
        except Exception:  # whatever it is, it is theirs, and the network goes on
            _LOGGER.exception("on_event failed at %s", type(event).__name__)


def clock() -> float:
    """Seconds that go on while the machine sleeps, and that nobody sets."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def _nobody(_event: DeliveryEvent) -> None:
    """Listen to nothing."""


def _do_nothing() -> None:
    """Nothing lives yet."""


def _call_soon(loop: asyncio.AbstractEventLoop, call: Callable[[], None]) -> None:
    with suppress(RuntimeError):  # the loop has been closed: it has nothing to do any more
        loop.call_soon_threadsafe(call)


@asynccontextmanager
async def _set_with(leader: asyncio.Event, follower: asyncio.Event) -> AsyncIterator[None]:
    """Have one event set as soon as the other is, while the block lasts."""
    if leader.is_set():
        follower.set()
    led = asyncio.create_task(leader.wait())
    led.add_done_callback(lambda _: follower.set())
    try:
        yield
    finally:
        led.cancel()


def checked(config: Backend) -> tuple[Backend, Trust]:
    """Return what can be used, or raise ``ConfigError``."""
    _refuse_plaintext(config)
    return config, Trust(config.ca_file)


def _from_environment() -> Backend:
    given: dict[str, Any] = {
        option: os.environ.get(name, getattr(defaults, name))
        for option, name in _ENVIRONMENT.items()
    }
    return Backend(**given)


def _timing(config: Backend, timing: Timing) -> Timing:
    patience = replace(timing.patience, fresh_s=config.fresh_s, reply_s=config.reply_s)
    if WIRES[config.protocol].proof is Proof.LATE:
        patience = replace(patience, processing_s=config.reply_s)
    return replace(timing, login_s=config.connect_s, connect_s=config.connect_s, patience=patience)


def _utterance(turn_id: str, pcm: bytes, now: float) -> Utterance:
    """Wrap the sound. Half a sample at the end is found out, and told, where the turn is."""
    whole = len(pcm) % SAMPLE_BYTES == 0
    return Utterance(turn_id, pcm_to_wav(pcm) if whole else b"", len(pcm), now)


def _refuse_plaintext(config: Backend) -> None:
    if is_exposed(config.url) and not config.allow_plaintext:
        raise ConfigError(
            f"backend.url: {address(config.url)} would get password and voice unencrypted, "
            "expected https:// (or backend.allow_plaintext = true, for a network you trust)"
        )
