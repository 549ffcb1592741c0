"""Sound files: the WAV files of the sounds that report the progress of a turn."""

import os
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Final

from jarvis_ear.audio.wav import WavError, decode_wav
from jarvis_ear.config import SoundsOptions, WakeWord
from jarvis_ear.errors import ConfigError
from jarvis_ear.paths import read_regular

DEFAULT: Final = "default"
"""Value of an option of ``sounds`` for the sound that is shipped."""

NONE: Final = "none"
"""The same for silence."""

MAX_SECONDS: Final = 3.0
"""A sound accompanies a conversation: a longer one would be a part of it."""

MAX_BYTES: Final = 2 * 1024 * 1024
"""More than ``MAX_SECONDS`` of stereo at 96 kHz with 32 bits have."""


def load_sounds(options: SoundsOptions, words: Sequence[WakeWord]) -> Mapping[str, bytes]:
    """Return the WAV file of each sound that is wanted, by its name; or raise ConfigError.

    The name of a sound is its option, or for the chime of a wake word ``WakeWord.sound``.
    """
    values: dict[str, str] = options.model_dump()
    sounds = {
        name: _shipped(name) if value == DEFAULT else _load(f"sounds.{name}", value, DEFAULT)
        for name, value in values.items()
        if value != NONE
    }
    chimes = {word.sound: word.chime for word in words if word.chime not in ("", NONE)}
    own = {name: _load("hearing.wake.words", value) for name, value in chimes.items()}
    return sounds | own


def _shipped(name: str) -> bytes:
    return (resources.files("jarvis_ear") / "sounds" / f"{name}.wav").read_bytes()


def _load(option: str, value: str, *words: str) -> bytes:
    expected = f"expected {', '.join([*words, NONE])}, or a WAV file of at most {MAX_SECONDS:g} s"
    try:
        content, _ = read_regular(Path(value).expanduser(), MAX_BYTES, follow=True)
        decode_wav(content, max_seconds=MAX_SECONDS)
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise ConfigError(f"{option}: {value}: {reason}, {expected}") from error
    except WavError as error:
        raise ConfigError(f"{option}: {value} {error}, {expected}") from error
    return content
