"""Sound files: the WAV files of the sounds that tell what becomes of a turn."""

import os
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Final

from jarvis_ear.audio.wav import WavError, decode_wav
from jarvis_ear.config import SoundsOptions
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


def load_sounds(options: SoundsOptions) -> Mapping[str, bytes]:
    """Return the WAV file of each sound that is wanted, by its option; or raise ConfigError."""
    values: dict[str, str] = options.model_dump()
    return {name: _load(name, value) for name, value in values.items() if value != NONE}


def _load(name: str, value: str) -> bytes:
    if value == DEFAULT:
        return (resources.files("jarvis_ear") / "sounds" / f"{name}.wav").read_bytes()
    expected = f"expected {DEFAULT}, {NONE}, or a WAV file of at most {MAX_SECONDS:g} s"
    try:
        content, _ = read_regular(Path(value).expanduser(), MAX_BYTES, follow=True)
        decode_wav(content, max_seconds=MAX_SECONDS)
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise ConfigError(f"sounds.{name}: {value}: {reason}, {expected}") from error
    except WavError as error:
        raise ConfigError(f"sounds.{name}: {value} {error}, {expected}") from error
    return content
