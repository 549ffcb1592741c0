"""``make chaos``: people talk to an ear while everything around it fails, in an order a seed gives.

The server writes down what it runs before it answers; the ear's own ledger says what it believes.
In the end nothing may have run twice, nothing late, and nothing may be missing.
"""

import argparse
import contextlib
import queue
import random
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from fakes.account import Account, draw_up, ledger, turn_of
from fakes.ear import EarProcess
from fakes.proxy import Proxy
from fakes.voice_server import VOICES, Switches, VoiceServer, free_port

FRESH_S = 5
"""The shortest freshness that the options allow: outages that outlast it are then affordable."""

SETTLE_S = 30.0
"""After the last fault: the oldest utterance expires, the last reply comes."""

IMPATIENT = 0.15
"""Share of utterances that do not wait for the reply to the one before: a newer one replaces it,
or it is abandoned."""

HESITANT = 0.2
"""Share of utterances that seem to go on: half of them do, and half do not."""

STARTLED = 0.1
"""Share of utterances after which a wake word is detected: half of the time, nothing follows."""

WEIGHTS = {
    "ear killed": 35,
    "server killed": 30,
    "server stopped": 20,
    "network gone": 12,
    "long outage": 3,
}


class Chaos:
    """One run. ``run`` returns the account; ``faults`` says what was done."""

    def __init__(
        self, seed: int, folder: Path, pause_s: float = 1.2, protocol: str = "socketio"
    ) -> None:
        self._chance = random.Random(seed)  # noqa: S311 - nothing here is a secret
        self._voice = random.Random(seed + 1)  # noqa: S311 - likewise
        self._pause_s = pause_s
        self._folder = folder
        port = free_port()  # of the server; on Wyoming of the ear, to which the server connects
        self._proxy = Proxy(port)
        server_port = self._proxy.port if protocol == "wyoming" else port
        self._server = VoiceServer(
            folder, Switches(reply="worker"), wire=protocol, port=server_port
        )
        self._ear = EarProcess(
            self._proxy.url,
            folder=str(folder),
            fresh_s=FRESH_S,
            connect_s=2.0,
            protocol=protocol,
            listens_on=port,
        )
        self._silence = threading.Event()
        self._said: dict[int, float] = {}
        self.given = 0
        self.faults: Counter[str] = Counter()

    def run(self, utterances: int, faults: int) -> Account:
        with self._server, self._proxy, self._ear:
            speaker = threading.Thread(target=self._speak, args=(utterances,))
            speaker.start()
            try:
                self._fail(faults)
            finally:
                self._silence.set()
                speaker.join()
            self._settle()
        return draw_up(
            self._said, self._server.received("run"), ledger(self._folder / "state"), FRESH_S
        )

    def _speak(self, utterances: int) -> None:
        while self.given < utterances:
            self._interrupt()
            self.given += 1
            self._ear.tell(
                do="say",
                turn=turn_of(self.given),
                number=self.given,
                samples=2 * self._voice.randrange(1600, 24_000),
                lasts_s=0.05,
            )
            hurry = self._silence.is_set()
            self._silence.wait(0.05 if hurry else self._voice.uniform(0.1, 1.3))
            self._listen()

    def _interrupt(self) -> None:
        """Do to the utterance before what a person may do who speaks again, or seems to."""
        turn, kind = turn_of(self.given), self._voice.random()
        if not self.given or kind >= IMPATIENT + HESITANT + STARTLED:
            return
        if kind < IMPATIENT:
            self._ear.tell(do="abandon", turn=turn)
            return
        goes_on = kind < IMPATIENT + HESITANT
        self._ear.tell(do="hold", turn=turn, goes_on=goes_on)
        self._silence.wait(self._voice.uniform(0.0, 0.8))
        if self._voice.random() < 0.5:
            self._ear.tell(do="release", turn=turn)
        elif goes_on:
            self._ear.tell(do="supersede", turn=turn, by=turn_of(self.given + 1))
        else:
            self._ear.tell(do="abandon", turn=turn)

    def _listen(self) -> None:
        with contextlib.suppress(queue.Empty):
            while True:
                line = self._ear.events.get_nowait()
                if line["event"] == "said":
                    self._said[int(line["turn"], 16)] = line["at"]

    def _fail(self, faults: int) -> None:
        kinds: dict[str, Callable[[], None]] = {
            "ear killed": self._kill_ear,
            "server killed": self._kill_server,
            "server stopped": self._stop_server,
            "network gone": self._cut,
            "long outage": self._outage,
        }
        for _ in range(faults):
            time.sleep(self._chance.uniform(0.2, 2 * self._pause_s))
            [kind] = self._chance.choices(list(WEIGHTS), list(WEIGHTS.values()))
            kinds[kind]()
            self.faults[kind] += 1

    def _kill_ear(self) -> None:
        self._ear.kill()
        time.sleep(self._chance.uniform(0.0, 0.5))
        self._ear.start()

    def _kill_server(self) -> None:
        self._server.kill()
        time.sleep(self._chance.uniform(0.0, 1.0))
        self._server.start()

    def _stop_server(self) -> None:
        self._server.pause()
        time.sleep(self._chance.uniform(0.2, 7.0))
        self._server.resume()

    def _cut(self) -> None:
        self._proxy.hold()
        time.sleep(self._chance.uniform(0.5, 7.0))
        self._proxy.release()

    def _outage(self) -> None:
        self._server.kill()
        time.sleep(FRESH_S + self._chance.uniform(1.0, 3.0))
        self._server.start()

    def _settle(self) -> None:
        ends = time.monotonic() + SETTLE_S
        while time.monotonic() < ends:
            self._listen()
            recorded = ledger(self._folder / "state")
            if all(turn_of(number) in recorded for number in self._said):
                return
            time.sleep(0.1)


def main() -> int:
    options = argparse.ArgumentParser(prog="make chaos", description=__doc__)
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--utterances", type=int, default=500)
    options.add_argument("--faults", type=int, default=150)
    options.add_argument("--protocol", choices=tuple(VOICES), default="socketio")
    asked = options.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        chaos = Chaos(asked.seed, Path(folder), protocol=asked.protocol)
        account = chaos.run(asked.utterances, asked.faults)
    done = ", ".join(f"{count} {kind}" for kind, count in sorted(chaos.faults.items()))
    took_s = time.monotonic() - began
    print(f"{asked.protocol}, seed {asked.seed}, {took_s:.0f} s, {chaos.given} sentences begun")
    print(f"{chaos.faults.total()} faults: {done}")
    print(account)
    return 0 if account.clean else 1


if __name__ == "__main__":
    sys.exit(main())
