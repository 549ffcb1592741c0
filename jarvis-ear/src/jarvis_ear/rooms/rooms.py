"""Rooms: claims the wake words of this ear, and tells the ear which of them other ears answer."""

import asyncio
import logging
import secrets
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final, Self

from jarvis_ear import config
from jarvis_ear.devices.sample_clock import boot_clock
from jarvis_ear.errors import RemoteProtocolError
from jarvis_ear.hearing.events import (
    AnsweredElsewhere,
    AnsweredHere,
    Effect,
    TurnDropped,
    TurnOpened,
)
from jarvis_ear.journal.turns import ROOMS_TROUBLE
from jarvis_ear.link.mailbox import Mailbox
from jarvis_ear.link.network_thread import NetworkThread, run_together
from jarvis_ear.log.throttle import Throttle
from jarvis_ear.rooms.claim import (
    MAX_AGE_MS,
    Claim,
    Standing,
    from_event,
    measure,
    seal,
    to_event,
    unseal,
)
from jarvis_ear.rooms.election import Election, Outcome, SendClaim
from jarvis_ear.rooms.multicast import PORT, Multicast
from jarvis_ear.units import Samples
from jarvis_ear.wires.event_bus import Event

_LOGGER = logging.getLogger(__name__)

QUEUE_CLAIMS: Final = 64
"""Claims that wait for the network: those of ten wake words."""

LOOK_S: Final = 30.0
"""Seconds between two looks for new interfaces of the network, or tries to open the socket."""

STOP_S: Final = 1.0
"""Maximum seconds of a stop."""

MAX_EARS: Final = 16
"""Names of other ears in the status. Policy: the one not heard for the longest time goes."""


class Rooms:
    """Agrees with the ears of other rooms which one answers a wake word. See decision 25.

    Without ``rooms.group`` it does nothing: it has no thread and no socket, and this ear answers
    every turn. The ear thread calls ``after`` and ``may_answer``, any thread ``heard_on_bus``; none
    of them blocks. One lock protects the election. The thread "rooms" owns the socket and the
    timer. Claims wait for it in a queue: bound ``QUEUE_CLAIMS``, policy drop the oldest, counter
    ``rooms_dropped``.
    """

    def __init__(
        self,
        options: config.Config,
        *,
        sound: Callable[[], Sequence[bytes]],
        captured_at: Callable[[Samples], float],
        is_ready: Callable[[], bool],
        tell: Callable[[AnsweredHere | AnsweredElsewhere], None],
        post: Callable[[Event], None],
        now: Callable[[], float] = boot_clock,
        port: int = PORT,
    ) -> None:
        """``sound`` returns the frames around a wake word, at its detection; in the ear thread.

        ``captured_at`` returns when a sample was captured, in seconds of the clock ``now``;
        ``is_ready`` whether the backend is reached. ``tell`` gets what is decided, ``post`` each
        claim for the bus. No call may block.
        """
        self._group = options.rooms.group
        self._key = options.rooms.key.get_secret_value().encode()
        self.change(options)
        self._sound = sound
        self._captured_at = captured_at
        self._is_ready = is_ready
        self._tell = tell
        self._post = post
        self._now = now
        self._port = port
        self._lock = threading.Lock()  # protects _election, _ears and _throttle
        self._election = Election()
        self._ears: dict[str, None] = {}  # names of the other ears, the newest last
        self._outgoing: Mailbox[Claim] = Mailbox(QUEUE_CLAIMS)
        self._throttle = Throttle()
        self._thread = NetworkThread(self._run, "jarvis-ear-rooms")
        self.refused = 0
        """Messages that are not a claim, or not signed with our key."""
        self.foreign = 0
        """Claims of another group."""
        self.unsent = 0
        """Claims that no interface of the network took."""

    @property
    def is_on(self) -> bool:
        """Whether other ears may answer."""
        return bool(self._group)

    def change(self, options: config.Config) -> None:
        """Use the name and the gain of these options; the group and the key need a restart."""
        self._ear = options.backend.agent_id
        self._gain_db = options.hearing.heard.gain_db

    def after(self, effect: Effect) -> None:
        """Claim a wake word, or take the claim back. Ear thread."""
        if not self.is_on:
            return
        match effect:
            case TurnOpened(turn_id, at=at, score=float(score)):
                claim = self._claim(at, score)
                self._do(lambda election, now: election.open(turn_id, claim, now))
            case TurnOpened(turn_id, continues=continues):
                self._do(lambda election, _now: election.go_on(turn_id, continues))
            case TurnDropped(turn_id):
                self._do(lambda election, now: election.withdraw(turn_id, now))

    def may_answer(self, turn_id: str) -> bool:
        """Return whether to send the utterance of a turn, which is decided now at the latest."""
        self._do(lambda election, now: election.settle(turn_id, now))
        with self._lock:
            return not self._election.is_lost(turn_id)

    def heard_on_bus(self, data: Mapping[str, Any]) -> None:
        """Weigh a claim that came over the bus. Any thread."""
        if not self.is_on:
            return
        try:
            self._hear(from_event(data))
        except RemoteProtocolError as error:
            self._refuse(f"a claim on the bus: {error}")

    def counters(self) -> Mapping[str, int]:
        """Return what was refused, dropped, not sent, or answered twice."""
        return {
            **self._election.counters(),
            "rooms_refused": self.refused,
            "rooms_foreign": self.foreign,
            "rooms_unsent": self.unsent,
            "rooms_dropped": self._outgoing.dropped,
        }

    def health(self) -> Mapping[str, object]:
        """Return the group, the other ears so far, and who answered how many wake words."""
        if not self.is_on:
            return {"rooms": "off"}
        with self._lock:
            return {
                "rooms": self._group,
                "rooms_ears": sorted(self._ears),
                "rooms_answered_here": self._election.won,
                "rooms_answered_elsewhere": self._election.lost,
            }

    def __enter__(self) -> Self:
        if self.is_on:
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.stop(STOP_S)

    def _claim(self, at: Samples, score: float) -> Claim:
        level, floor = measure(self._sound(), self._gain_db)
        age_ms = round(1000 * (self._now() - self._captured_at(at)))
        return Claim(
            group=self._group,
            claim_id=secrets.token_hex(8),
            ear=self._ear,
            standing=str(Standing.OPEN),
            age_ms=min(max(age_ms, 0), MAX_AGE_MS),
            ready=self._is_ready(),
            score_percent=round(100 * score),
            level=level,
            floor=floor,
        )

    def _do(self, step: Callable[[Election, float], tuple[Outcome, ...]]) -> None:
        """Take a step of the election, and carry out its outcomes. Any thread."""
        with self._lock:
            outcomes = step(self._election, self._now())
        for outcome in outcomes:
            if isinstance(outcome, SendClaim):
                self._outgoing.post(outcome.claim)
            else:
                self._tell(outcome)

    def _hear(self, claim: Claim) -> None:
        if claim.group != self._group:
            self.foreign += 1
            return
        if claim.ear != self._ear:
            with self._lock:
                self._ears.pop(claim.ear, None)
                self._ears[claim.ear] = None
                while len(self._ears) > MAX_EARS:
                    del self._ears[next(iter(self._ears))]
        self._do(lambda election, now: election.hear(claim, now))

    async def _run(self, stop: asyncio.Event) -> None:
        wake = asyncio.Event()
        network = Multicast(self._read, self._port) if self._key else None
        try:
            with self._outgoing.waking(wake.set):
                await run_together(self._look(network), self._work(wake, network), stop.wait())
        finally:
            if network is not None:
                network.close()

    async def _work(self, wake: asyncio.Event, network: Multicast | None) -> None:
        """Send claims and decide in time, until cancelled. A claim of this ear wakes it."""
        while True:
            wake.clear()
            self._do(lambda election, now: election.tick(now))
            for claim in self._outgoing.drain():
                self._send(claim, network)
            with self._lock:
                deadline = self._election.deadline
            wait_s = None if deadline is None else max(deadline - self._now(), 0)
            with suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await wake.wait()

    async def _look(self, network: Multicast | None) -> None:
        """Open the socket, and join on interfaces that appear later, until cancelled."""
        while True:
            try:
                if network is not None:
                    network.open()
            except OSError as error:
                self._warn(f"no socket for claims: {error.strerror}")
            await asyncio.sleep(LOOK_S)

    def _send(self, claim: Claim, network: Multicast | None) -> None:
        self._post(to_event(claim))
        if network is not None and not network.send(seal(claim, self._key)):
            self.unsent += 1
            self._warn("no interface of the network takes a claim")

    def _read(self, datagram: bytes, sender: str) -> None:
        """Weigh a datagram, which may hold anything."""
        try:
            self._hear(unseal(datagram, self._key))
        except RemoteProtocolError as error:
            self._refuse(f"a datagram of {sender}: {error}")

    def _refuse(self, reason: str) -> None:
        self.refused += 1
        self._warn(f"refused: {reason}")

    def _warn(self, reason: str) -> None:
        with self._lock:
            is_due = self._throttle.allows(self._now())
        if is_due:
            fields = ROOMS_TROUBLE.fields(REASON=reason)
            _LOGGER.warning("the ears of other rooms: %s", reason, extra=fields)
