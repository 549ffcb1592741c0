"""Time from the end of speech to `audio_end`, which delivery adds to the hangover."""

import queue
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from pydantic import SecretStr

from bench.listener import GATED, make_ear
from bench.material import ROOT, Collection
from bench.percent import milliseconds
from bench.scale import Scale
from bench.sound import chance, floor, rounded, seconds
from bench.table import Row, Table
from jarvis_ear.audio.frames import Block
from jarvis_ear.backend import BackendClient
from jarvis_ear.config import BackendOptions
from jarvis_ear.delivery.events import DeliveryEvent, Finished, ProcessingStarted, Sent
from jarvis_ear.hearing.ear_thread import EarThread
from jarvis_ear.hearing.inbox import Inbox
from jarvis_ear.units import Samples

sys.path.append(str(ROOT / "tests"))

from fakes.voice_server import Switches, VoiceServer

TARGET_MS: Final = 30.0
"""Not noticeable in addition to the hangover of 800 ms."""

ANSWER_S: Final = 10.0
"""Maximum seconds for one turn."""

BLOCK: Final = 640
"""Samples per block: 40 ms, as from capture."""

SERVER: Final = Switches(reply="error")
"""A backend that ends every turn at once."""


class Watch:
    """Times of the events of a turn. Filled by the network thread, read by the main thread."""

    def __init__(self) -> None:
        self._events: queue.SimpleQueue[tuple[float, DeliveryEvent]] = queue.SimpleQueue()

    def note(self, event: DeliveryEvent) -> None:
        """Store an event with its time."""
        self._events.put((time.perf_counter(), event))

    def turn(self, turn_id: str) -> dict[type, float]:
        """Wait until the turn is over, and return the time of each kind of event."""
        times: dict[type, float] = {}
        while Finished not in times:
            at, event = self._events.get(timeout=ANSWER_S)
            if getattr(event, "turn_id", None) == turn_id:
                times.setdefault(type(event), at)
        return times


def delivery(scale: Scale, collection: Collection) -> list[Table]:
    """Send utterances to a Socket.IO server in another process, over loopback."""
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as folder, VoiceServer(Path(folder), SERVER) as server:
        watch = Watch()
        options = BackendOptions(url=server.url, password=SecretStr(SERVER.password))
        with BackendClient(options, on_event=watch.note) as client:
            if not client.connect():
                raise ConnectionError("the server of the bench cannot be reached")
            rows += _measure("nothing else", scale, client, watch)
            with _busy_ear(collection):
                rows += _measure("hears talk", scale, client, watch)
    return [
        Table(
            "From the decision that speech has ended to audio_end at the socket",
            ("utterance", "ear meanwhile", "sent", "p50", "p99", "max", "processing p50", "p99"),
            rows,
            f"p99 < {TARGET_MS:g} ms",
            ["processing: until the backend confirms the whole utterance, over loopback"],
        )
    ]


def _measure(load: str, scale: Scale, client: BackendClient, watch: Watch) -> list[Row]:
    rows: list[Row] = []
    for length_s in scale.lengths_s:
        pcm = rounded(30 * floor(seconds(length_s), chance("delivery"))).tobytes()
        sent, processing = _send(pcm, scale.deliveries, client, watch)
        rows.append(
            (
                f"{length_s} s",
                load,
                str(len(sent)),
                milliseconds(sent, 50),
                milliseconds(sent, 99, TARGET_MS),
                milliseconds(sent, 100),
                milliseconds(processing, 50),
                milliseconds(processing, 99),
            )
        )
    return rows


def _send(
    pcm: bytes, count: int, client: BackendClient, watch: Watch
) -> tuple[list[float], list[float]]:
    sent, processing = [], []
    for number in range(count):
        turn_id = f"{len(pcm)}-{number}-{time.monotonic_ns()}"
        decided = time.perf_counter()
        client.send_audio(pcm, turn_id=turn_id)
        times = watch.turn(turn_id)
        sent.append(times[Sent] - decided)
        processing.append(times[ProcessingStarted] - decided)
    return sent, processing


@contextmanager
def _busy_ear(collection: Collection) -> Iterator[None]:
    """Run an ear in its thread on conversation in real time, as during a delivery."""
    inbox, stop = Inbox(), threading.Event()
    ear = EarThread(
        make_ear(GATED),
        inbox,
        lambda _effect: None,
        on_finished=lambda: None,
        on_failure=lambda _error: None,
    )
    speaker = threading.Thread(target=_speak, args=(collection, inbox, stop), daemon=True)
    with ear:
        speaker.start()
        try:
            yield
        finally:
            stop.set()
            speaker.join()


def _speak(collection: Collection, inbox: Inbox, stop: threading.Event) -> None:
    talk, at = collection.talk, 0
    while not stop.wait(BLOCK / 16_000):
        place = at % (len(talk) // BLOCK * BLOCK)
        inbox.put(Block(Samples(at), talk[place : place + BLOCK].tobytes()))
        at += BLOCK
