"""Somebody who speaks, in real time, into a pipe that a sound server takes for a microphone."""

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

PIECE_SAMPLES: Final = 160
"""10 ms: what a microphone would hand over at once."""


@contextmanager
def speaking(fifo: Path, sound: npt.NDArray[np.int16]) -> Iterator[None]:
    """Speak again and again while the block lasts, whether there is a server or not."""
    over = threading.Event()
    mouth = threading.Thread(target=_speak, args=(fifo, sound, over), daemon=True)
    mouth.start()
    try:
        yield
    finally:
        over.set()
        mouth.join()


def _speak(fifo: Path, sound: npt.NDArray[np.int16], over: threading.Event) -> None:
    due, at = time.monotonic(), 0
    while not over.is_set():
        _say(fifo, np.take(sound, range(at, at + PIECE_SAMPLES), mode="wrap"))
        at = (at + PIECE_SAMPLES) % len(sound)
        due += PIECE_SAMPLES / 16_000
        over.wait(max(0.0, due - time.monotonic()))


def _say(fifo: Path, piece: npt.NDArray[np.int16]) -> None:
    try:
        pipe = os.open(fifo, os.O_WRONLY | os.O_NONBLOCK)
    except OSError:  # the server is not there: it does not hear
        return
    try:
        os.write(pipe, piece.astype("<i2").tobytes())
    except (BlockingIOError, BrokenPipeError):
        pass
    finally:
        os.close(pipe)
