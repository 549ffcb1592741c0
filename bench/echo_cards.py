"""Wake words over a reply, through two virtual sound cards: the whole daemon in real time.

The loudspeaker's clock is faster than that of the microphone, and a simulated room lies between the
two. Each delay is a daemon of its own, which has to find it. Replies are played as announcements.
"""

import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

from bench.echo import (
    AFTER_S,
    ECHOES_DB,
    OWN_WORDS,
    PEOPLE,
    REPLY,
    Spoken,
    excerpt,
    installed,
    reply,
    response,
)
from bench.material import ROOT, WORDS, Clip, Collection, spread
from bench.percent import share
from bench.quiet import running_ear
from bench.scale import Scale
from bench.scene import LEVEL, word_alone
from bench.sound import Waves, chance, loudness, rounded, seconds
from bench.table import Figure, Row, Table
from jarvis_ear.audio.wav import pcm_to_wav
from jarvis_ear.control.client import ask
from jarvis_ear.hearing.events import State
from jarvis_ear.paths import SOCKET

sys.path.append(str(ROOT / "tests"))

from bench.room import LiveRoom
from fakes.vmic import missing_tools, two_cards
from fakes.voice_server import Switches, VoiceServer

TITLE: Final = "Wake words over a reply, through two sound cards"

SERVER: Final = Switches(reply="error")
"""A backend that ends every turn at once: what was said over a reply needs no answer."""

DRIFT_PPM: Final = 50
"""The loudspeaker's clock is faster by this."""

DELAYS_MS: Final = (1, 100, 200, 300)
"""From the loudspeaker to the microphone; a daemon for each."""

WORD_AT_S: Final = 5.0
"""Seconds from the first sound of the reply to the wake word."""

EARLY_S: Final = 0.16
"""Time by which a detection may precede the recording of the word."""

LOOK_S: Final = 0.05
"""Time between two looks at the daemon."""

CALM_S: Final = 1.0
"""Silence between two replies."""

PATIENCE_S: Final = 30.0
"""Time in which a reply begins, or the daemon is idle again; more is a failure of the bench."""


@dataclass(slots=True)
class Tally:
    """Results of one kind of reply."""

    replies: int = 0
    found: int = 0
    """Wake words of a person that were found."""
    woken: int = 0
    """Replies to which the ear listened although nobody had spoken yet."""
    vetoed: int = 0
    """Wake words of the reply that the ear took for its own."""


@dataclass(frozen=True, slots=True)
class Trial:
    """A reply, and a wake word over it."""

    echo_db: int
    reply: Waves
    person: Waves | None
    """None: only the reply says the wake word."""


def echo_cards(scale: Scale, collection: Collection) -> list[Table]:
    """Count wake words over replies, of people and of the replies."""
    missing = missing_tools() or (None if installed() else "no flite, espeak-ng")
    if missing:
        return [Table(TITLE, ("echo",), [], "", [f"not measured: {missing}"])]
    people = collection.labelled(PEOPLE) or collection.labelled(*WORDS)
    words = spread(people, max(1, scale.noisy_clips // 2))
    levels = ECHOES_DB[: len(words)]
    trials = [
        _over(place, word, echo_db) for echo_db, _ in levels for place, word in enumerate(words)
    ]
    own = [_own(place, echo_db) for echo_db, _ in levels for place in range(len(words))]
    rooms = [(trials + own)[number :: len(DELAYS_MS)] for number in range(len(DELAYS_MS))]
    busy = [(delay_ms, each) for delay_ms, each in zip(DELAYS_MS, rooms, strict=True) if each]
    with ThreadPoolExecutor(len(busy)) as threads:
        found = list(threads.map(lambda each: _in_a_room(*each), busy))
    return [_table(found, levels, collection)]


def _over(place: int, word: Clip, echo_db: int) -> Trial:
    random = chance("echo-cards", word.name, echo_db)
    texts = "".join(REPLY[place % len(REPLY) :] + REPLY[: place % len(REPLY)])
    sound = excerpt(
        (installed()[place % len(installed())], texts), seconds(WORD_AT_S + AFTER_S), random
    )
    speech = word_alone(word).waves
    return Trial(echo_db, sound, speech * (LEVEL / loudness(speech)))


def _own(place: int, echo_db: int) -> Trial:
    voices = installed()
    spoken: Spoken = voices[place % len(voices)], OWN_WORDS[place % len(OWN_WORDS)]
    return Trial(echo_db, np.concatenate((reply(*spoken), np.zeros(seconds(1)))), None)


@dataclass(slots=True)
class _Found:
    people: dict[int, Tally] = field(default_factory=dict)
    own: dict[int, Tally] = field(default_factory=dict)
    late: int = 0
    underruns: int = 0
    gaps: int = 0


def _in_a_room(delay_ms: int, trials: Sequence[Trial]) -> _Found:
    found = _Found()
    with ExitStack() as up:
        folder = Path(up.enter_context(tempfile.TemporaryDirectory()))
        card = two_cards(folder, ppm=DRIFT_PPM)
        server = up.enter_context(VoiceServer(folder / "backend", SERVER))
        room = up.enter_context(LiveRoom(card, seconds(delay_ms / 1000), delay_ms))
        up.enter_context(
            running_ear(
                folder,
                server.url,
                card.environment,
                SERVER.password,
                options=("--speaker.device", "vspeaker"),
            )
        )
        daemon = _Daemon(folder, room)
        for place, trial in enumerate(trials):
            kind = found.own if trial.person is None else found.people
            daemon.run(
                trial, chance("room", delay_ms, place), kind.setdefault(trial.echo_db, Tally())
            )
        found.late = room.late
        found.underruns = daemon.counter("speaker_underruns")
        found.gaps = daemon.counter("gaps")
    return found


class _Daemon:
    """A daemon in its room. For one thread."""

    def __init__(self, folder: Path, room: LiveRoom) -> None:
        self._paths = [folder / "run" / SOCKET]
        self._room = room

    def run(self, trial: Trial, random: np.random.Generator, tally: Tally) -> None:
        """Play a reply, let the person speak over it, and note what the daemon does."""
        self._wait(lambda: self._status()["state"] == State.IDLE)
        quiet_until = self._room.now() + seconds(CALM_S)
        self._wait(lambda: self._room.now() >= quiet_until)
        echo = response(random)
        loud = np.convolve(np.tanh(0.8 * trial.reply / 32768) / 0.8, echo)
        gain = LEVEL * 10 ** (trial.echo_db / 20) / max(np.sqrt((loud**2).mean()), 1e-9)
        person = np.zeros(0) if trial.person is None else trial.person
        peak = np.abs(loud).max() * gain + np.abs(person).max(initial=0)
        self._room.set(echo * gain, min(1.0, 29_000 / peak))
        vetoed = self.counter("self_echoes")
        self._ask("say-sound", pcm_to_wav(rounded(trial.reply).tobytes()))
        self._wait(lambda: self._room.sounded_at() is not None)
        began = self._room.sounded_at() or 0
        tally.replies += 1
        if trial.person is None:
            tally.woken += self._listens(began + len(trial.reply))
        else:
            at = began + seconds(WORD_AT_S)
            self._room.say(person, at)
            woken = self._listens(at - seconds(EARLY_S))
            tally.woken += woken
            tally.found += not woken and self._listens(at + seconds(AFTER_S))
        tally.vetoed += self.counter("self_echoes") - vetoed
        self._ask("stop")

    def counter(self, name: str) -> int:
        """Return one of the daemon's counters."""
        return int(self._status()["counters"][name])

    def _listens(self, until: int) -> bool:
        """Whether the daemon listens to somebody before this sample is heard."""
        while self._room.now() < until:
            if self._status()["state"] in (State.LISTENING, State.CAPTURING):
                return True
            time.sleep(LOOK_S)
        return False

    def _status(self) -> dict[str, Any]:
        return self._ask("status")

    def _ask(self, word: str, body: bytes = b"") -> dict[str, Any]:
        answer = ask(self._paths, word, body, wait_s=PATIENCE_S)
        if answer is None or "error" in answer:
            raise ChildProcessError(f"the daemon does not carry out {word}: {answer}")
        return answer

    @staticmethod
    def _wait(is_true: Callable[[], bool]) -> None:
        end = time.monotonic() + PATIENCE_S
        while not is_true():
            if time.monotonic() > end:
                raise TimeoutError("the daemon does not become idle, or does not play")
            time.sleep(LOOK_S)


def _table(
    found: Sequence[_Found], levels: Sequence[tuple[int, float]], collection: Collection
) -> Table:
    rows: list[Row] = []
    for echo_db, most in levels:
        people = _sum([each.people.get(echo_db, Tally()) for each in found])
        own = _sum([each.own.get(echo_db, Tally()) for each in found])
        missed = 100 * (1 - people.found / people.replies) if people.replies else float("nan")
        rows.append(
            (
                f"{echo_db:+d} dB",
                str(people.replies),
                share(people.found, people.replies),
                Figure(missed, ".0f", " %", most),
                Figure(people.woken, "d", at_most=0),
                str(own.replies),
                str(own.vetoed),
                Figure(own.woken, "d", at_most=0),
            )
        )
    return Table(
        f"{TITLE}: drift {DRIFT_PPM} ppm",
        ("echo", "words", "found", "missed", "false", "own words", "vetoed", "woken"),
        rows,
        "missed <= 10, 15, 35 %; no wake word of the reply wakes the ear",
        [
            f"delays {', '.join(map(str, DELAYS_MS))} ms, a daemon each",
            f"the word comes at {WORD_AT_S:g} s; in brackets 95 % intervals (Wilson)",
            f"pieces of sound that came late: {sum(each.late for each in found)}",
            f"underruns: {sum(each.underruns for each in found)}",
            f"gaps in what the microphone heard: {sum(each.gaps for each in found)}",
            f"replies by {', '.join(' '.join(voice) for voice in installed())}",
            collection.describes,
        ],
    )


def _sum(tallies: Sequence[Tally]) -> Tally:
    names = ("replies", "found", "woken", "vetoed")
    return Tally(*(sum(getattr(each, name) for each in tallies) for name in names))
