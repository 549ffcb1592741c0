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
from dataclasses import dataclass, replace
from functools import partial
from types import TracebackType
from typing import Any, Final, Self

from jarvis_ear import config as defaults
from jarvis_ear.audio.wav import pcm_to_wav
from jarvis_ear.config import BackendOptions
from jarvis_ear.delivery.events import DeliveryEvent
from jarvis_ear.delivery.outbox import Outbox
from jarvis_ear.delivery.recovery import Guarantee
from jarvis_ear.delivery.timeouts import Timing
from jarvis_ear.delivery.transitions import UploadMode
from jarvis_ear.delivery.utterance import CapturedAudio, Utterance
from jarvis_ear.errors import ConfigError
from jarvis_ear.journal.turns import PLAINTEXT
from jarvis_ear.link.backoff import Outage
from jarvis_ear.link.commands import Abandon, CommandQueue, Discard, Grew, Heard, Put
from jarvis_ear.link.login import Login, TokenCache
from jarvis_ear.link.network_thread import NetworkThread
from jarvis_ear.link.registry import WIRES, Proof, Wire
from jarvis_ear.link.sender import Sender
from jarvis_ear.link.supervisor import Dialer, LinkState, LinkStatus, Supervisor
from jarvis_ear.link.tls_and_tcp import Trust, address, is_exposed
from jarvis_ear.spool.store import NoSpool, Spool
from jarvis_ear.units import SAMPLE_BYTES

__all__ = ["BackendClient", "CapturedAudio", "pcm_to_wav"]

_LOGGER = logging.getLogger(__name__)

_ENVIRONMENT: Final[Mapping[str, str]] = {
    "url": "BACKEND_URL",
    "password": "JARVIS_PASSWORD",
    "agent_id": "AGENT_ID",
}
"""Options of the backend, and the names that give them: in the environment or in ``config``."""


@dataclass(frozen=True, slots=True)
class Session:
    """Everything that one life of the network is made of. A value: any thread may read it.

    It is replaced as a whole, so that what belongs to different configurations never meets.
    """

    config: BackendOptions
    trust: Trust
    wire: Wire
    timing: Timing

    @property
    def url(self) -> str:
        """Where the backend is, without a slash at the end."""
        return self.config.url.rstrip("/")


class BackendClient:
    """Delivers utterances to the backend and says what becomes of them. Any thread may use it.

    It owns the network thread. No method raises into the audio, and only ``connect`` and
    ``disconnect`` wait, both within a deadline. Every utterance given to ``send_audio`` ends in
    exactly one ``Finished`` event; one that is given after ``disconnect`` waits for the next start.
    All options are in one ``Session``; each life of the network thread reads it once.

    ``on_event`` is called on the network thread and must not wait. With a ``spool``, an utterance
    that is not committed at the end gets ``Kept`` instead of ``Finished``, and the next client with
    that spool goes on with it; without, nothing outlives the process.
    """

    def __init__(
        self,
        config: BackendOptions | None = None,
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
        given = _from_environment() if config is None else config
        self._session = session_of(given, self._given_timing)
        self._intake = CommandQueue()
        self._courier: Sender | None = None
        self._status = LinkStatus()
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
        return address(self._session.url)

    @property
    def trouble(self) -> tuple[str, str]:
        """Why the link is down, and what to do about it; both empty: nothing is wrong."""
        return self._status.trouble

    @property
    def growth_ms(self) -> int:
        """How much more of an utterance is worth a call of ``extend``."""
        return self._session.wire.growth_ms

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

    def prepare(self, config: BackendOptions) -> Callable[[], None]:
        """Check other options, and return what goes on with them; or raise ``ConfigError``.

        Calling that takes no time: the network thread ends its link in order and makes another.
        What is not committed by then is delivered with the new options, if there is a spool.
        """
        session = session_of(config, self._given_timing)

        def go_on() -> None:
            self._session = session
            self._begin_anew()

        return go_on

    def connect(self, wait_s: float | None = None) -> bool:
        """Start, and return whether the first attempt succeeded. The attempts go on if not.

        It waits at most ``wait_s`` seconds for the outcome; None: as long as one attempt may take.
        """
        try:
            self.start()
        except RuntimeError:  # the system gives us no thread
            _LOGGER.exception("the network cannot be started")
            return False
        timing = self._session.timing
        most_s = timing.login_s + timing.connect_s
        return self._status.wait_tried(most_s if wait_s is None else wait_s)

    def send_audio(
        self, captured_audio: CapturedAudio | bytes, *, turn_id: str | None = None
    ) -> str:
        """Have this delivered, now or when the link is back. Returns the name of its turn.

        The age of the utterance counts from ``spoken_at``; for plain PCM16, which may have a
        ``turn_id``, it counts from this call. A name of your own must never have been used, as far
        as the ledger reaches.
        """
        if not isinstance(captured_audio, CapturedAudio):
            name = secrets.token_hex(4) if turn_id is None else turn_id
            captured_audio = CapturedAudio(bytes(captured_audio), name, self._clock())
        self._intake.post(Put(_utterance(captured_audio)))
        return captured_audio.turn_id

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

    def abandon(self, turn_id: str, *, newer: bool = True) -> None:
        """End a turn: the person said something ``newer``, or (False) wants no more of it.

        Nothing of its reply arrives any more. With ``backend.waiting = "queue"``, something newer
        leaves a turn alone that is not committed: ``StillWaiting`` says so.
        """
        self._intake.post(Abandon(turn_id, newer))

    def heard(self, turn_id: str, heard: str, why: str) -> None:
        """Record in the ledger how much of a reply was heard: see ``delivery.playback``."""
        self._intake.post(Heard(turn_id, heard, why))

    def disconnect(self) -> None:
        """End all turns and the network thread, within two seconds whatever the backend does."""
        with self._lifecycle:
            thread, self._thread = self._thread, None
            if self._intake.waiting and (thread is None or not thread.alive):
                thread = self._last_words()
        stop_s = self._session.timing.stop_s
        if thread is not None and not thread.stop(stop_s):
            _LOGGER.warning("the network did not stop within %.1f s", stop_s)

    @property
    def _wants_growth(self) -> bool:
        streams = self._session.wire.carriage is UploadMode.STREAMED
        return streams or not isinstance(self._spool, NoSpool)

    def _last_words(self) -> NetworkThread:
        """Start a thread that only tells what became of the utterances nobody fetched."""
        thread = NetworkThread(self._supervise)
        thread.stop(0.0)
        thread.start()
        return thread

    async def _supervise(self, stop: asyncio.Event) -> None:
        """Live until ``stop``, and once more whenever there are other options."""
        while not await self._live(stop):
            self._status.forget()

    async def _live(self, stop: asyncio.Event) -> bool:
        """Live with the present options, and return whether that was the last life."""
        loop, over = asyncio.get_running_loop(), asyncio.Event()
        self._begin_anew = partial(_call_soon, loop, over.set)
        session = self._session  # after the line above: whoever changes it now ends this life
        config, patience = session.config, session.timing.patience
        promise = Guarantee(config.delivery)
        outbox = Outbox(
            config.agent_id,
            patience,
            promise.moves,
            session.wire.carriage,
            queue=config.waiting == "queue",
        )
        courier = Sender(outbox, self._intake, self._spool, self._tell, self._clock)
        self._courier = courier.succeed(self._courier)
        await courier.inherit(self._spool.begin(patience.fresh_s, promise))
        supervisor = Supervisor(
            self._dialer(session, courier),
            courier,
            self._status,
            Outage(address(session.url)),
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

    def _dialer(self, session: Session, courier: Sender) -> Dialer:
        config, timing, trust, wire = session.config, session.timing, session.trust, session.wire
        if is_exposed(session.url):
            told = PLAINTEXT.told(BACKEND=address(session.url))
            words = "password and voice go to %s unencrypted: use https"
            _LOGGER.warning(words, address(session.url), extra=told)
        password = config.password.get_secret_value()
        login = Login(session.url, password, timing.login_s, trust)
        return Dialer(
            TokenCache(login.token, self._clock, config.token.get_secret_value()),
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


def checked(config: BackendOptions) -> tuple[BackendOptions, Trust]:
    """Return what can be used, or raise ``ConfigError``."""
    _refuse_plaintext(config)
    return config, Trust(config.ca_file)


def session_of(config: BackendOptions, timing: Timing) -> Session:
    """Make a session of options that can be used, or raise ``ConfigError``."""
    usable, trust = checked(config)
    return Session(usable, trust, WIRES[usable.protocol], _timing(usable, timing))


def _from_environment() -> BackendOptions:
    given: dict[str, Any] = {
        option: os.environ.get(name, getattr(defaults, name))
        for option, name in _ENVIRONMENT.items()
    }
    return BackendOptions(**given)


def _timing(config: BackendOptions, timing: Timing) -> Timing:
    patience = replace(
        timing.patience,
        fresh_s=config.fresh_s,
        reply_s=config.reply_s,
        gap_s=config.gap_s,
        whole_reply_s=config.whole_reply_s,
    )
    if WIRES[config.protocol].proof is Proof.LATE:
        patience = replace(patience, processing_s=config.reply_s)
    return replace(timing, login_s=config.connect_s, connect_s=config.connect_s, patience=patience)


def _utterance(captured: CapturedAudio) -> Utterance:
    """Wrap the sound. Half a sample at the end is found out, and told, where the turn is."""
    pcm, whole = captured.pcm, len(captured.pcm) % SAMPLE_BYTES == 0
    wav = pcm_to_wav(pcm) if whole else b""
    return Utterance(captured.turn_id, wav, len(pcm), captured.spoken_at)


def _refuse_plaintext(config: BackendOptions) -> None:
    if is_exposed(config.url) and not config.allow_plaintext:
        raise ConfigError(
            f"backend.url: {address(config.url)} would get password and voice unencrypted, "
            "expected https:// (or backend.allow_plaintext = true, for a network you trust)"
        )
