"""What a fake voice server has on every wire: its switches, its tokens, its log, its script."""

import json
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Final, TypeAlias

from fakes.numbered import number_in
from fakes.voice_script import Step, Word, after_end


@dataclass(frozen=True, slots=True)
class Switches:
    """How a server behaves."""

    password: str = "open sesame"
    secret: str = "first"
    """Part of every token: a server with another secret refuses the tokens of this one."""
    has_login: bool = True
    asks: bool | None = None
    """Whether a client needs a token; None as its wire does by default."""
    auth_delay_s: float = 0.0
    """Seconds until a Socket.IO connection is let into the namespace."""
    listening: bool = True
    reply: str = "spoken"
    """Which script of ``voice_script`` follows the end of an utterance."""
    closes: bool = False
    """Whether a WebSocket server closes the connection after each reply."""


Address: TypeAlias = tuple[str, int]

LOCAL: Final = ("127.0.0.1", 0)
"""Any free port of this machine."""


class VoiceService:
    """The part of a fake voice server that knows no wire."""

    garbage: ClassVar[Sequence[Any]] = ()
    """What no server of its wire should say."""

    def __init__(self, switches: Switches | None = None, log: Path | None = None) -> None:
        self.switches = switches or Switches(reply="answer")
        self.hangs = False
        """Whether it leaves out the end of each reply."""
        self.heard: list[bytes] = []
        self.posts: list[str] = []
        self._log = None if log is None else log.open("a", buffering=1)
        self._logins = 0
        self._random = random.Random(str(log))  # noqa: S311 - nothing here is a secret

    def note(self, event: str, **details: Any) -> None:
        """Write a line of the log, with the time in seconds of CLOCK_BOOTTIME."""
        if self._log is not None:
            at = time.clock_gettime(time.CLOCK_BOOTTIME)
            self._log.write(json.dumps({"event": event, "at": at, **details}) + "\n")

    def login(self, asked: Any) -> tuple[int, Any]:
        self.posts.append("/api/auth/login")
        if not self.switches.has_login:
            return 404, {"detail": "Not Found"}
        good = asked == {"password": self.switches.password}
        self.note("login", good=good)
        if not good:
            return 401, {"error": "Invalid password"}
        self._logins += 1
        token = f"canary-{self.switches.secret}-{self._logins}"
        return 200, {"token": token, "expiresIn": "7d"}

    def is_good(self, token: object) -> bool:
        return str(token).startswith(f"canary-{self.switches.secret}-")

    def run(self, pcm: bytes, size: int | None = None) -> Iterator[Step]:
        self.heard.append(pcm)
        self.note("run", number=number_in(pcm), bytes=size or len(pcm))
        for step in after_end(self.switches.reply, len(self.heard)):
            if step is Word.DONE and self.hangs:
                return
            yield step

    def pause(self, least_s: float, most_s: float) -> float:
        return self._random.uniform(least_s, most_s)
