"""BackendClient: the interface between the network and the rest of the ear.

A part of the library interface, see docs/library.md.
"""

import asyncio
import logging
import os
import secrets
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Self

from jarvis_ear import config as defaults
from jarvis_ear.audio.wav import pcm_to_wav
from jarvis_ear.config import HEY_JARVIS, BackendOptions, WakeWord
from jarvis_ear.delivery.events import DeliveryEvent
from jarvis_ear.delivery.outbox import Outbox
from jarvis_ear.delivery.playback import PlaybackEnded
from jarvis_ear.delivery.timeouts import Timing
from jarvis_ear.delivery.transitions import Guarantee, UploadMode
from jarvis_ear.delivery.utterance import CapturedAudio, Utterance
from jarvis_ear.errors import ConfigError, ConnectFailed
from jarvis_ear.journal.turns import PLAINTEXT
from jarvis_ear.link.connection import BackendLink
from jarvis_ear.link.login import Dialer, Login
from jarvis_ear.link.mailbox import (
    Abandon,
    CommandQueue,
    Discard,
    Grew,
    Hold,
    Put,
    ReplyHeard,
    Resume,
    Supersede,
)
from jarvis_ear.link.network_thread import NetworkThread, run_together
from jarvis_ear.link.registry import Proof, Wire, Words, wire_of
from jarvis_ear.link.sender import Sender
from jarvis_ear.link.speech import BackendVoice
from jarvis_ear.link.supervisor import LinkState, LinkStatus, Supervisor
from jarvis_ear.link.tls_and_tcp import TrustStore, address, is_exposed
from jarvis_ear.spool.store import Spool
from jarvis_ear.units import SAMPLE_BYTES

if TYPE_CHECKING:
    from jarvis_ear.link.wyoming import SatelliteSocket

__all__ = ["BackendClient", "BackendOptions", "CapturedAudio", "LinkState", "pcm_to_wav"]

_LOGGER = logging.getLogger(__name__)

_ENVIRONMENT: Final[Mapping[str, str]] = {
    "url": "BACKEND_URL",
    "password": "JARVIS_PASSWORD",
    "agent_id": "AGENT_ID",
}
"""Options of the backend, and their names in the environment and in the module ``config``."""


@dataclass(frozen=True, slots=True)
class Session:
    """Configuration of one run of the network thread. A value: any thread may read it.

    It is replaced as a whole, so that values of different configurations are never mixed.
    """

    config: BackendOptions
    trust_store: TrustStore
    wire: Wire
    timing: Timing

    @property
    def url(self) -> str:
        """URL of the backend, without a slash at the end."""
        return self.config.url.rstrip("/")

    @property
    def address(self) -> str:
        """Address of the backend for display, without user name and password."""
        return address(self.url) if self.wire.listen is None else self.config.wyoming.uri

    def login(self) -> Login:
        """Make a login."""
        password = self.config.password.get_secret_value()
        return Login(self.url, password, self.timing.login_s, self.trust_store)

    def make_link(self, wake: Callable[[], None]) -> BackendLink:
        """Make a link, which calls ``wake`` after each message. On the network thread."""
        return self.wire.link(self.config, self.timing, wake, self.trust_store)

    def make_satellite(self, counted: "Counter[str]", words: Words) -> "SatelliteSocket | None":
        """Make the socket on which the backend connects; None if the ear connects."""
        return None if self.wire.listen is None else self.wire.listen(self.config, counted, words)


class BackendClient:
    """Delivers utterances to the backend and reports their verdicts. Any thread may use it.

    It owns the network thread. No method raises into the audio threads, and only ``connect`` and
    ``disconnect`` block, each with a deadline. Every utterance passed to ``send_audio`` ends in
    exactly one ``Finished`` event; one passed after ``disconnect`` waits for the next start. All
    options are in one ``Session``; each session of the network thread reads it once.

    ``on_event`` is called on the network thread and must not block. With a ``spool``, an utterance
    that is not committed at a stop gets ``Kept`` instead of ``Finished``, and the next client with
    that spool delivers it; without one, nothing survives the process.
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
        self._spool = spool or Spool()
        self._clock = now or clock
        self._on_event = on_event
        self._given_timing = timing or Timing()
        given = _from_environment() if config is None else config
        self._session = session_of(given, self._given_timing)
        self._counted = Counter(connections_refused=0)
        self._commands = CommandQueue()
        self._sender: Sender | None = None
        self._status = LinkStatus()
        self._lifecycle = threading.Lock()  # protects _thread
        self._thread: NetworkThread | None = None
        self._reload = asyncio.Event()  # ends the session that runs now
        self._words: tuple[WakeWord, ...] = (HEY_JARVIS,)  # replaced as a whole

    def __enter__(self) -> Self:
        self.connect(wait_s=0)
        return self

    def __exit__(self, *_: object) -> None:
        self.disconnect()

    @property
    def connected(self) -> bool:
        """Whether an utterance could be uploaded now."""
        return self._status.connected

    @property
    def state(self) -> LinkState:
        """State of the link, including a rejected password."""
        return self._status.state

    @property
    def iterations(self) -> int:
        """Number of iterations of the network thread: at least one per second unless it hangs."""
        return 0 if self._sender is None else self._sender.iterations

    @property
    def idle(self) -> bool:
        """Whether every utterance has a verdict."""
        return not self._commands and (self._sender is None or self._sender.open == 0)

    @property
    def waiting(self) -> int:
        """Number of utterances without a verdict, which the spool holds too. Any thread."""
        return 0 if self._sender is None else self._sender.open

    def counters(self) -> Mapping[str, int]:
        """Return how often each bound was reached since the client was created."""
        dropped = {"commands_dropped": self._commands.dropped}
        counts = {**dropped, **self._counted, **self._spool.counters()}
        return counts if self._sender is None else {**counts, **self._sender.counters()}

    def report_to(self, on_event: Callable[[DeliveryEvent], None]) -> None:
        """Set the receiver of events, if it needs the client itself. Call it before ``start``."""
        self._on_event = on_event

    def use_words(self, words: tuple[WakeWord, ...]) -> None:
        """Set the wake words that a server may ask for. Any thread."""
        self._words = words

    def health(self) -> Mapping[str, object]:
        """Return whether the backend is connected, where it is, and if not, why. Any thread."""
        url = self._session.address
        fields: dict[str, object] = {"connected": self.connected, "backend_url": url}
        if not self.connected:
            fields["backend_reason"], fields["backend_remedy"] = self._status.trouble
        return fields

    def start(self) -> None:
        """Start to connect, and keep reconnecting until ``disconnect``. Returns at once."""
        with self._lifecycle:
            if self._thread is not None and self._thread.alive:
                return
            self._status.forget()
            self._thread = NetworkThread(self._run)
            self._thread.start()

    def prepare(self, config: BackendOptions) -> Callable[[], None]:
        """Check new options, and return a function that applies them; or raise ``ConfigError``.

        That function returns at once: the network thread closes its link and opens a new one. With
        a spool, utterances that are not committed by then are delivered with the new options.
        """
        session = session_of(config, self._given_timing)

        def apply() -> None:
            self._session = session
            thread = self._thread
            if thread is not None:
                thread.call_soon(lambda: self._reload.set())  # noqa: PLW0108 - read in that thread

        return apply

    def connect(self, wait_s: float | None = None) -> bool:
        """Start, and return whether the first attempt succeeded. If not, the attempts continue.

        It waits at most ``wait_s`` seconds for the result; None: the time-out of one attempt.
        """
        try:
            self.start()
        except RuntimeError:  # the system cannot start another thread
            _LOGGER.exception("the network cannot be started")
            return False
        timing = self._session.timing
        most_s = timing.login_s + timing.connect_s
        return self._status.wait_tried(most_s if wait_s is None else wait_s)

    def send_audio(
        self, captured_audio: CapturedAudio | bytes, *, turn_id: str | None = None
    ) -> str:
        """Deliver an utterance, now or when the link is up again. Returns its turn id.

        The age of the utterance counts from ``spoken_at``; for plain PCM16, which may have a
        ``turn_id``, it counts from this call. A given ``turn_id`` must not occur in the ledger.
        """
        if not isinstance(captured_audio, CapturedAudio):
            name = new_id() if turn_id is None else turn_id
            captured_audio = CapturedAudio(bytes(captured_audio), name, self._clock())
        self._commands.post(Put(_utterance(captured_audio)))
        return captured_audio.turn_id

    def extend(self, turn_id: str, offset: int, pcm: bytes) -> None:
        """Add sound to an unfinished utterance. ``send_audio`` passes the whole of it.

        It is stored if there is a spool, and uploaded if the wire streams.
        """
        if self._wants_growth:
            self._commands.post(Grew(turn_id, offset, bytes(pcm)))

    def discard(self, turn_id: str) -> None:
        """Delete and revoke what ``extend`` has passed: it was not an utterance."""
        if self._wants_growth:
            self._commands.post(Discard(turn_id))

    def abandon(self, turn_id: str, *, newer: bool = True) -> None:
        """End a turn: the person said something ``newer``, or (False) stopped it.

        No more of its reply is passed on. With ``backend.waiting = "queue"``, a newer utterance
        does not end a turn that is not committed: ``StillWaiting`` reports that.
        """
        self._commands.post(Abandon(turn_id, newer))

    def hold(self, turn_id: str, *, goes_on: bool) -> None:
        """Do not commit a turn until ``release``: the person may say something newer.

        With ``goes_on``, its sentence seems to continue; a later start does not commit it either.
        """
        self._commands.post(Hold(turn_id, goes_on))

    def release(self, turn_id: str) -> None:
        """Go on with a turn that was held: nothing newer was said."""
        self._commands.post(Resume(turn_id))

    def supersede(self, turn_id: str, by: str) -> None:
        """End a turn that is the beginning of a sentence; the turn ``by`` has the whole of it."""
        self._commands.post(Supersede(turn_id, by))

    def heard(self, turn_id: str, heard: str, why: str) -> None:
        """Record in the ledger how much of a reply was heard, see ``delivery.playback``."""
        self._commands.post(ReplyHeard(turn_id, heard, why))

    def played(self, reply_id: str) -> None:
        """Tell a backend that wants to know it that a reply or an announcement was played."""
        if self._session.wire.listen is not None:
            self._commands.post(PlaybackEnded(reply_id))

    def speak(self, text: str) -> bytes:
        """Return a sound file with ``text`` in the voice of the backend. Blocks, at most 25 s.

        Raises ``TransportError`` or ``RemoteProtocolError``.
        """
        session = self._session
        if session.wire.listen is not None:
            raise ConnectFailed(
                "Home Assistant speaks texts by its action assist_satellite.announce"
            )
        token = session.config.token.get_secret_value()
        return BackendVoice(session.url, session.login(), token, session.trust_store).speak(text)

    def disconnect(self) -> None:
        """End all turns and the network thread, within two seconds even if the backend hangs."""
        with self._lifecycle:
            thread, self._thread = self._thread, None
            if self._commands and (thread is None or not thread.alive):
                thread = self._report_verdicts()
        if thread is not None:
            thread.stop(self._session.timing.stop_s)

    @property
    def _wants_growth(self) -> bool:
        streams = self._session.wire.upload_mode is UploadMode.STREAMED
        return streams or self._spool.on_disk

    def _report_verdicts(self) -> NetworkThread:
        """Start a thread that only reports the verdicts of the utterances still in the queue."""
        thread = NetworkThread(self._run)
        thread.stop(0.0)
        thread.start()
        return thread

    async def _run(self, stop: asyncio.Event) -> None:
        """Run a session; start a new one after each reload, until ``stop``."""
        while not await self._run_session(stop):
            self._status.forget()

    async def _run_session(self, stop: asyncio.Event) -> bool:
        """Run one session with the current options, and return whether it was the last one."""
        self._reload = reload = asyncio.Event()
        session = self._session  # after the line above: a change from now on ends this session
        sender = await self._make_sender(session)
        satellite = session.make_satellite(self._counted, lambda: self._words)
        supervisor = Supervisor(
            self._dialer(session, sender, satellite),
            sender.serve,
            self._status,
            session.address,
            clock=self._clock,
            peer=session.wire.peer,
            on_event=self._tell,
        )
        with self._commands.waking(sender.wake):
            try:
                if not stop.is_set():
                    await run_together(supervisor.run(), sender.run(), stop.wait(), reload.wait())
            finally:
                is_last = stop.is_set()
                await sender.close(for_good=is_last)
                self._status.end()
                if satellite is not None:
                    await satellite.close()
        return is_last

    async def _make_sender(self, session: Session) -> Sender:
        """Make the sender of a session, with what the spool has from before."""
        config, timeouts, status = session.config, session.timing.turn, self._status
        guarantee = Guarantee(config.delivery)
        outbox = Outbox(
            config.agent_id,
            timeouts,
            guarantee.transitions,
            session.wire.upload_mode,
            queue=config.waiting == "queue",
            new_id=new_id if session.wire.has_announcements else None,
        )
        sender = Sender(outbox, self._commands, self._spool, self._tell, self._clock, status=status)
        sender.continue_from(self._sender)
        self._sender = sender
        await sender.recover(self._spool.begin(timeouts.fresh_s, guarantee))
        return sender

    def _dialer(
        self, session: Session, sender: Sender, satellite: "SatelliteSocket | None"
    ) -> Dialer[BackendLink]:
        config, timing = session.config, session.timing
        if satellite is not None:
            return Dialer(lambda: satellite.make_link(timing, sender.wake), None, self._clock)
        if is_exposed(session.url):
            fields = PLAINTEXT.fields(BACKEND=session.address)
            words = "password and voice go to %s unencrypted: use https"
            _LOGGER.warning(words, session.address, extra=fields)
        return Dialer(
            lambda: session.make_link(sender.wake),
            session.login().token,
            self._clock,
            given=config.token.get_secret_value(),
            admission=session.wire.admission,
        )

    def _tell(self, event: DeliveryEvent) -> None:
        if self._on_event is None:
            return
        try:
            self._on_event(event)
        except Exception:  # a bug of the caller must not stop the network
            _LOGGER.exception("on_event failed at %s", type(event).__name__)


def new_id() -> str:
    """Return a new id of an utterance or an announcement."""
    return secrets.token_hex(4)


def clock() -> float:
    """Seconds of a monotonic clock that includes the time in which the machine sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def session_of(config: BackendOptions, timing: Timing) -> Session:
    """Check options and make a session from them, or raise ``ConfigError``."""
    wire = wire_of(config.protocol)
    is_plaintext = wire.listen is None and is_exposed(config.url)
    if is_plaintext and not config.allow_plaintext:
        raise ConfigError(
            f"backend.url: {address(config.url)} would get password and voice unencrypted, "
            "expected https:// (or backend.allow_plaintext = true, for a network you trust)"
        )
    return Session(config, TrustStore(config.ca_file, config.url), wire, _timing(config, timing))


def _from_environment() -> BackendOptions:
    given: dict[str, Any] = {
        option: os.environ.get(name, getattr(defaults, name))
        for option, name in _ENVIRONMENT.items()
    }
    return BackendOptions(**given)


def _timing(config: BackendOptions, timing: Timing) -> Timing:
    timeouts = replace(
        timing.turn,
        fresh_s=config.fresh_s,
        reply_s=config.reply_s,
        gap_s=config.gap_s,
        whole_reply_s=config.whole_reply_s,
    )
    if wire_of(config.protocol).proof is Proof.LATE:
        timeouts = replace(timeouts, processing_s=config.reply_s)
    return replace(timing, login_s=config.connect_s, connect_s=config.connect_s, turn=timeouts)


def _utterance(captured: CapturedAudio) -> Utterance:
    """Make a WAV file of the sound. Half a sample at the end is detected later, by the turn."""
    pcm, at = captured.pcm, captured.spoken_at
    wav = pcm_to_wav(pcm) if len(pcm) % SAMPLE_BYTES == 0 else b""
    agent_id, word = captured.agent_id, captured.wake_word
    return Utterance(captured.turn_id, wav, len(pcm), at, agent_id=agent_id, wake_word=word)
