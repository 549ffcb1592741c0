"""Flite and espeak-ng: speech by a program of this machine, started once per sentence."""

import asyncio
import resource
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from jarvis_backend.engines.engine import Speech
from jarvis_backend.errors import EngineError, EngineMissing
from jarvis_backend.text import one_line

WAV_BYTES: Final = 16 * 1024 * 1024
"""Largest file that is taken: eight minutes of 16 kHz for one sentence."""

FILE_BYTES: Final = 128 * 1024 * 1024
"""Hard limit of the kernel on what it may write. Not tighter, because espeak-ng opens the sound
system even when it writes a file, and that maps 64 MiB."""

_COMPLAINT_BYTES: Final = 1000
"""As much of a program's complaint as is looked at."""


@dataclass(frozen=True, slots=True)
class Program:
    """A program that turns a text file into a WAV file."""

    name: str
    """Its name on the search path, and of the package that brings it."""
    usual_voice: str
    """Spoken with when nobody chose."""
    arguments: Callable[[str, Path, Path], Sequence[str]]
    """Its arguments for a voice, the file with the text, and the file to write."""


FLITE: Final = Program(
    "flite",
    "slt",
    lambda voice, text, wav: ("-voice", voice, "-f", str(text), "-o", str(wav)),
)

ESPEAK_NG: Final = Program(
    "espeak-ng",
    "en-us",
    lambda voice, text, wav: ("-v", voice, "-b", "1", "-f", str(text), "-w", str(wav)),
)


class ProgramVoice:
    """Speaks by starting a ``Program``. Lives on the loop; holds nothing between sentences."""

    def __init__(self, program: Program, voice: str, timeout_s: float) -> None:
        path = shutil.which(program.name)
        if path is None:
            raise EngineMissing(
                f"the program {program.name} is not installed (apt install {program.name})"
            )
        self.name = program.name
        self._path = path
        self._program = program
        self._voice = voice or program.usual_voice
        self._timeout_s = timeout_s

    async def speak(self, sentence: str) -> Speech:
        """Start the program, wait for it within the deadline, and read what it wrote."""
        with tempfile.TemporaryDirectory(prefix="jarvis-speech-") as folder:
            text, wav = _files(folder, sentence)
            await self._run(self._program.arguments(self._voice, text, wav))
            return Speech("audio/wav", _written(wav, self.name))

    async def aclose(self) -> None:
        """Nothing is held: a program under way is killed with the turn that waits for it."""

    async def _run(self, arguments: Sequence[str]) -> None:
        process = await asyncio.create_subprocess_exec(
            self._path,
            *arguments,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        _bound_files(process.pid)
        try:
            async with asyncio.timeout(self._timeout_s):
                complaint = await _first_letters(process)
                status = await process.wait()
        except TimeoutError:
            raise EngineError(f"{self.name} took more than {self._timeout_s:g} s") from None
        finally:
            await _end(process)
        if status != 0:
            raise EngineError(f"{self.name} ended with status {status}: {complaint}")


def _files(folder: str, sentence: str) -> tuple[Path, Path]:
    """Write ``sentence`` into a file, and name the one for its sound. A few hundred bytes."""
    text = Path(folder, "text")
    text.write_text(sentence + "\n", encoding="utf-8")
    return text, Path(folder, "speech.wav")


def _bound_files(pid: int) -> None:
    try:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (FILE_BYTES, FILE_BYTES))
    except ProcessLookupError:
        return  # it has already ended, and what it wrote is measured before it is read


async def _first_letters(process: asyncio.subprocess.Process) -> str:
    """Read the beginning of what the program complains about, and throw away the rest."""
    assert process.stderr is not None  # noqa: S101 - it was asked for as a pipe
    said = await process.stderr.read(_COMPLAINT_BYTES)
    while await process.stderr.read(65_536):
        pass
    return one_line(said.decode(errors="replace"))


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.kill()
        await process.wait()


def _written(wav: Path, name: str) -> bytes:
    try:
        size = wav.stat().st_size
    except FileNotFoundError:
        raise EngineError(f"{name} wrote no sound") from None
    if not 0 < size <= WAV_BYTES:
        raise EngineError(f"{name} wrote {size} bytes, expected 1 to {WAV_BYTES}")
    return wav.read_bytes()
