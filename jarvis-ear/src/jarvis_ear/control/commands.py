"""Commands of the control socket."""

import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from functools import partial
from typing import Final, Protocol, TypeAlias

from jarvis_ear.errors import JarvisEarError
from jarvis_ear.health.report import Health
from jarvis_ear.mute import LONGEST_S, OWNER, Mute
from jarvis_ear.process import NamedThread
from jarvis_ear.wires.event_bus import MICROPHONE, MODULES
from jarvis_ear.wires.messages import LOUDEST

Answer: TypeAlias = Mapping[str, object]
"""The answer to a command; with ``error`` if it was not carried out."""

WATCH: Final = "watch"
"""Asks for the feed instead of an answer. The server carries it out, because it concerns the
connection."""

VOLUME: Final = "volume"
"""Reports the volume of replies, or sets it: `volume 40`."""

METRICS: Final = "metrics"
"""Asks for all numbers as the text of Prometheus."""

MUTE: Final = "mute"
"""Mutes the ear, or mutes it for a number of seconds: `mute 1800`."""

TUNE: Final = "tune"
"""Stores options and has them used: `tune threshold=0.4 hangover_ms=900`; or `tune default`."""

WORDS: Final = (
    *("status", MUTE, "unmute", "toggle", "stop", "listen", "hush"),
    *(VOLUME, METRICS, TUNE, WATCH),
)
"""Commands of every ear. `hush` is the older name of `stop`."""

SAY_SOUND: Final = "say-sound"
SAY_TEXT: Final = "say-text"

MAX_TEXT: Final = 2000
"""Letters of a text to say: two minutes."""

BODIES: Final[Mapping[str, int]] = {SAY_SOUND: 8 * 1024 * 1024, SAY_TEXT: 4 * MAX_TEXT}
"""Commands with a body, and its maximum length in bytes. Its length is in the line: `say-text 12`.
The body follows the line: a sound file, or a text in UTF-8."""

MODULE_WORDS: Final[Mapping[str, tuple[str, bool]]] = {
    f"{module}-{'on' if enabled else 'off'}": (module, enabled)
    for module in MODULES
    if module != MICROPHONE  # its commands are mute and unmute
    for enabled in (True, False)
}
"""Further commands of an ear on a bus, for example `vision-off`: the module, and whether on."""


COMMANDS_PER_S: Final = 5.0
"""Rate limit of commands from a page or a broker, faster than a person presses a button."""

BURST: Final = 20.0
"""Commands that may arrive at once."""


class CommandRate:
    """Limits the rate of commands: a token bucket. For one thread; ``now`` never jumps back."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._tokens = BURST
        self._filled_at = now()

    def allows(self) -> bool:
        """Return whether one more command is within the rate now."""
        now = self._now()
        self._tokens = min(BURST, self._tokens + (now - self._filled_at) * COMMANDS_PER_S)
        self._filled_at = now
        is_within = self._tokens >= 1
        self._tokens -= is_within
        return is_within


class Modules(Protocol):
    """Switches the modules of a bus. No call blocks."""

    @property
    def is_member(self) -> bool:
        """Whether there is a bus. A reload may add one, or remove it."""

    def switch_module(self, module: str, *, enabled: bool) -> None:
        """Switch one module on or off."""


class Loudspeaker(Protocol):
    """Plays replies at a volume. No call blocks for longer than a small file is written."""

    @property
    def volume(self) -> int:
        """Volume in per cent."""

    def set_volume(self, percent: int, by: str) -> bool:
        """Set the volume, for ``by``; return whether it is stored for a restart."""


class Tuner(Protocol):
    """Stores tuned options. Raises ``ConfigError`` for a mistake, and ``OSError``."""

    def set(self, given: Mapping[str, str]) -> Mapping[str, float]:
        """Store values by name, and return all that are stored."""

    def forget(self) -> None:
        """Use the configured values again."""


class ControlCommands:
    """Carries out the commands. Used by the control thread."""

    def __init__(
        self,
        health: Health,
        mute: Mute,
        *,
        on_stop: Callable[[], None] = lambda: None,
        on_listen: Callable[[], None] = lambda: None,
        on_say: Callable[[bytes], None] = lambda _audio: None,
        on_speak: Callable[[str], None] = lambda _text: None,
        metrics: Callable[[], str] = str,
        modules: Modules | None = None,
        speaker: Loudspeaker | None = None,
        tuner: Tuner | None = None,
        by: str = OWNER,
    ) -> None:
        """Carry out commands of ``by``, as the log calls it."""
        self._by = by
        self._tuner = tuner
        self._speaker = speaker
        self._metrics = metrics
        self._modules = modules
        self._on_say = on_say
        self._on_speak = on_speak
        self._speaking: threading.Thread | None = None  # of the last text
        self._health = health
        self._mute = mute
        self._actions: Final[Mapping[str, Callable[[], None]]] = {
            MUTE: mute.mute,
            "unmute": mute.unmute,
            "toggle": mute.toggle,
            "stop": on_stop,
            "hush": on_stop,
            "listen": on_listen,
        }

    def answer(self, word: str) -> Mapping[str, object]:
        """Carry out one command, and return the answer.

        A command that is impossible now has ``error``, and the ``status`` of the verb.
        """
        if word == "status":
            return self._health.report()
        if word == METRICS:
            return {"metrics": self._metrics()}
        if word == "listen" and (why := self._why_deaf()):
            return {"error": why, "status": 1}
        if (answer := self._answer_with_argument(*word.split(" ", 1))) is not None:
            return answer
        action = self._actions.get(word) or self._switch(word)
        if action is None:
            return {"error": f"expected one of {', '.join(WORDS)}"}
        action()
        return self._muted()

    def _answer_with_argument(self, name: str, argument: str = "") -> Answer | None:
        """Carry out a command that takes an argument; None: it is another one."""
        if name == VOLUME and self._speaker is not None:
            return _volume(self._speaker, argument, self._by)
        if name == TUNE and self._tuner is not None:
            return _tune(self._tuner, argument)
        return self._mute_for(argument) if name == MUTE and argument else None

    def _muted(self) -> Answer:
        mute = self._mute
        return {"muted_by": list(mute.by), "muted_until": mute.until, "stored": mute.stored}

    def _mute_for(self, number: str) -> Answer:
        if not (number.isascii() and number.isdigit() and 0 < int(number) <= LONGEST_S):
            return {"error": f"expected {MUTE}, or {MUTE} and 1 to {LONGEST_S} seconds"}
        self._mute.mute(for_s=int(number))
        return self._muted()

    def take(self, name: str, body: bytes) -> Answer | Future[Answer]:
        """Carry out one of ``BODIES``; a text takes a while. At most one is being spoken."""
        if name == SAY_SOUND:
            return _outcome(lambda: self._on_say(body))
        text = " ".join(body.decode(errors="replace").split())
        if self._speaking is not None and self._speaking.is_alive():
            return {"error": "the ear is about to say another text", "status": 75}
        answer: Future[Answer] = Future()

        def speak() -> None:
            answer.set_result(_outcome(lambda: self._on_speak(text)))

        self._speaking = NamedThread(target=speak, name="jarvis-ear-say", daemon=True)
        self._speaking.start()
        return answer

    def _why_deaf(self) -> str:
        """Return why the ear cannot listen now; empty if it can."""
        if self._mute.by:
            return "the microphone is muted: jarvis-ear unmute"
        if not self._health.hearing:
            return "there is no sound from the microphone: jarvis-ear status"
        return ""

    def _switch(self, word: str) -> Callable[[], None] | None:
        if word not in MODULE_WORDS or self._modules is None or not self._modules.is_member:
            return None
        module, enabled = MODULE_WORDS[word]
        return partial(self._modules.switch_module, module, enabled=enabled)


def _volume(speaker: Loudspeaker, number: str, by: str) -> Mapping[str, object]:
    """Set the volume if a number is given, and return it."""
    stored = True
    if number:
        if not (number.isascii() and number.isdigit() and int(number) <= LOUDEST):
            return {"error": f"expected {VOLUME} and a whole number from 0 to {LOUDEST}"}
        stored = speaker.set_volume(int(number), by)
    return {"volume": speaker.volume, "stored": stored}


def _tune(tuner: Tuner, text: str) -> Answer:
    """Store tuned options, or forget them."""
    given = {name: value for name, _, value in (word.partition("=") for word in text.split())}
    try:
        if text == "default":
            tuner.forget()
            return {"tuned": {}}
        if not given:
            return {"error": f"expected {TUNE} default, or {TUNE} and NAME=NUMBER"}
        return {"tuned": dict(tuner.set(given))}
    except JarvisEarError as error:
        return {"error": str(error), "status": error.exit_status}
    except OSError as error:
        return {"error": f"it cannot be stored: {error.strerror}", "status": 1}


def _outcome(work: Callable[[], None]) -> Answer:
    try:
        work()
    except JarvisEarError as error:
        return {"error": str(error), "status": error.exit_status}
    return {"said": True}
