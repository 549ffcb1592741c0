"""Text-to-speech by flite or espeak-ng, started once per sentence."""

import asyncio
import resource
import shutil
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from jarvis_backend.config import TextToSpeechOptions
from jarvis_backend.engines.engine import Speech, StatelessEngine
from jarvis_backend.errors import EngineError, EngineMissing
from jarvis_backend.text import one_line

WAV_BYTES: Final = 16 * 1024 * 1024
"""Maximum size of the speech of one sentence: eight minutes at 16 kHz."""

FILE_BYTES: Final = 128 * 1024 * 1024
"""Hard limit of the kernel on the size of a file. espeak-ng opens the sound system even when it
writes a file, and that maps 64 MiB."""

_ERROR_BYTES: Final = 1000
"""Part of a program's error message that is read."""


@dataclass(frozen=True, slots=True)
class Program:
    """A program that turns a text file into a WAV file."""

    name: str
    """Name on the search path, and of the Debian package."""
    default_voice: str
    arguments: Callable[[str, Path, Path], Sequence[str]]
    """Arguments for a voice, the file with the text, and the file to write."""


FLITE: Final = Program(
    "flite", "slt", lambda voice, text, wav: ("-voice", voice, "-f", str(text), "-o", str(wav))
)

ESPEAK_NG: Final = Program(
    "espeak-ng",
    "en-us",
    lambda voice, text, wav: ("-v", voice, "-b", "1", "-f", str(text), "-w", str(wav)),
)


class ProgramVoice(StatelessEngine):
    """Starts a ``Program`` for each sentence; cancelling kills it. Lives on the loop."""

    def __init__(self, program: Program, options: TextToSpeechOptions) -> None:
        path = shutil.which(program.name)
        if path is None:
            raise EngineMissing(
                f"the program {program.name} is not installed (apt install {program.name})"
            )
        self.name = program.name
        self._path = path
        self._program = program
        self._voice = options.voice or program.default_voice
        self._timeout_s = options.timeout_s

    async def speak(self, sentence: str) -> Speech:
        """Run the program and return the file that it wrote."""
        with tempfile.TemporaryDirectory(prefix="jarvis-speech-") as folder:
            text, wav = Path(folder, "text"), Path(folder, "speech.wav")
            _write(text, sentence)
            await self._run(self._program.arguments(self._voice, text, wav))
            return Speech("audio/wav", self._read(wav))

    async def _run(self, arguments: Sequence[str]) -> None:
        process = await asyncio.create_subprocess_exec(
            self._path,
            *arguments,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        with suppress(ProcessLookupError):  # it has ended already; _read checks the size, too
            resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (FILE_BYTES, FILE_BYTES))
        try:
            async with asyncio.timeout(self._timeout_s):
                error = await _read_error(process)
                status = await process.wait()
        except TimeoutError:
            raise EngineError(f"{self.name} took more than {self._timeout_s:g} s") from None
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if status != 0:
            raise EngineError(f"{self.name} ended with status {status}: {error}")

    def _read(self, wav: Path) -> bytes:
        try:
            size = wav.stat().st_size
        except FileNotFoundError:
            raise EngineError(f"{self.name} wrote no sound") from None
        if not 0 < size <= WAV_BYTES:
            raise EngineError(f"{self.name} wrote {size} bytes, expected 1 to {WAV_BYTES}")
        return wav.read_bytes()


def _write(path: Path, sentence: str) -> None:
    path.write_text(sentence + "\n", encoding="utf-8")


async def _read_error(process: asyncio.subprocess.Process) -> str:
    """Return the beginning of standard error, and discard the rest."""
    assert process.stderr is not None  # noqa: S101 - it is a pipe
    error = await process.stderr.read(_ERROR_BYTES)
    while await process.stderr.read(65_536):
        pass
    return one_line(error.decode(errors="replace"))
