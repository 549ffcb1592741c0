"""Stdin: raw sound from whatever writes to us."""

import os
import select
import sys
from typing import Final

from jarvis_ear.audio.block import Block
from jarvis_ear.devices.end_of_sound import EndOfSound
from jarvis_ear.errors import InputError
from jarvis_ear.units import SAMPLE_BYTES, Samples, samples

READ_BYTES: Final = samples(80) * SAMPLE_BYTES
"""At most one step of the wake model at a time, however fast the writer is."""

WAIT_S: Final = 0.1
"""How long one read may wait: a stop is noticed so soon."""

EXPECTED: Final = "expected raw PCM16, 16 kHz, one channel"
"""Raw sound has no header: who sends something else has to read it here."""


class Stdin:
    """Reads raw PCM16, 16 kHz, mono from standard input. Owned by the capture thread.

    As fast as it comes: a writer that is too fast waits in its pipe. An odd byte at the end is
    dropped.
    """

    live = False
    silence = ""
    name = "standard input"

    def __init__(self, descriptor: int | None = None) -> None:
        self._descriptor = descriptor
        self._odd = b""
        self._position = Samples(0)

    def open(self) -> None:
        """Check that something can come, or raise InputError."""
        if self._descriptor is None:
            self._descriptor = _standard_input()
        if os.isatty(self._descriptor):
            raise InputError(f"standard input is a terminal, {EXPECTED}")

    def read(self) -> Block | None:
        """Return what has come, or None when nothing did."""
        data = self._odd + self._read()
        whole = len(data) - len(data) % SAMPLE_BYTES
        self._odd = data[whole:]
        if whole == 0:
            return None
        if self._position == 0 and data.startswith(b"RIFF"):
            raise InputError(f"standard input starts like a WAV file, {EXPECTED}; name the file")
        block = Block(self._position, data[:whole])
        self._position = block.end
        return block

    def close(self) -> None:
        """Leave standard input as it is: it is not ours to close."""

    def _read(self) -> bytes:
        if self._descriptor is None:
            raise EndOfSound
        readable, _, _ = select.select([self._descriptor], [], [], WAIT_S)
        if not readable:
            return b""
        try:
            data = os.read(self._descriptor, READ_BYTES)
        except OSError as error:
            raise InputError(f"standard input cannot be read: {error.strerror}") from error
        if data:
            return data
        if self._position == 0:
            raise InputError(f"standard input holds no sound, {EXPECTED}")
        raise EndOfSound


def _standard_input() -> int:
    if sys.stdin is None:
        raise InputError(f"standard input is closed, {EXPECTED}")
    return sys.stdin.fileno()
