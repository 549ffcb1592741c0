"""``jarvis-ear events``: the clips of the wake ledger, for their owner."""

import io
import json
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from jarvis_ear.errors import InputError, SpeakerLost, file_errors
from jarvis_ear.options.verbs import UsageError, plain, print_text
from jarvis_ear.paths import replacing
from jarvis_ear.wake_ledger.clips import NO_CLIPS, Clip, ClipFolder, find_folder, listing, opened

if TYPE_CHECKING:
    import tarfile

    from jarvis_ear.config import SpeakerOptions
    from jarvis_ear.delivery.playback import Playback

ARCHIVES: Final = (".tar.gz", ".tgz")
"""Endings of an archive."""

PLAY_S: Final = 30.0
"""Maximum seconds for opening a loudspeaker and playing a clip."""

_NAMES: Final = {"wake": "woke", "near_miss": "near miss"}
_HEADS: Final = ("id", "time (UTC)", "event", "score", "level", "noise", "label")
_LABELS: Final = {True: "true", False: "false", None: ""}


def events(verb: str, given: Mapping[str, Any], *, play: Callable[[bytes], int]) -> int:
    """Carry out a verb below `events`; ``play`` plays a sound file and returns the exit status."""
    with file_errors("the folder of the clips"):
        folder = find_folder()
        if verb == "list":
            return _list(folder, as_json="json" in given)
        if verb == "purge":
            return _purge(folder)
        if folder is None:
            raise InputError(NO_CLIPS)
        match verb:
            case "export":
                return _export(folder, given["file"])
            case "label":
                with opened(folder) as clips:
                    clips.label(clips.find(given["id"]), given["word"] == "true")
                return 0
            case _:
                with opened(folder) as clips:
                    wav = clips.wav(clips.find(given["id"]))
                return play(wav)


def _list(folder: Path | None, *, as_json: bool) -> int:
    found: list[Clip] = []
    if folder is not None:
        with opened(folder) as clips:
            found = clips.all()
    if as_json:
        return print_text(json.dumps(listing(folder, found)) + "\n")
    if not found:
        sys.stderr.write("jarvis-ear: there are no clips: see hearing.wake_ledger.enabled\n")
        return 0
    return print_text("\n".join([_line(*_HEADS), *map(_row, found)]) + "\n")


def _row(clip: Clip) -> str:
    level, noise = (
        "-" if dbfs is None else f"{dbfs:.0f}" for dbfs in (clip.level_dbfs, clip.noise_floor_dbfs)
    )
    time, kind = clip.time[:19].replace("T", " "), _NAMES.get(clip.kind, clip.kind)
    return _line(clip.id, time, kind, f"{clip.score:.2f}", level, noise, _LABELS[clip.label])


def _line(*words: str) -> str:
    name, time, kind, score, level, noise, label = words
    return f"{name:<9} {time:<20} {kind:<10} {score:>5} {level:>6} {noise:>6}  {label}".rstrip()


def _purge(folder: Path | None) -> int:
    count = 0
    if folder is not None:
        with opened(folder) as clips:
            count = clips.purge()
    return print_text(f"removed {count} clip{'s' if count != 1 else ''}\n")


def _export(folder: Path, archive: Path) -> int:
    """Write an archive that only its owner may read; it is whole, or not there."""
    if not archive.name.endswith(ARCHIVES):
        raise UsageError(f"events export: {plain(archive.name)}: expected a name ending in .tar.gz")
    shown = plain(str(archive))
    with ExitStack() as stack:
        try:
            file = stack.enter_context(replacing(archive))
        except OSError as error:
            raise InputError(
                f"{plain(str(archive))} cannot be written: {error.strerror}"
            ) from error
        with opened(folder) as clips:
            count = _write_archive(file, clips)
    return print_text(f"{shown}: {count} clip{'s' if count != 1 else ''}\n")


def _write_archive(file: BinaryIO, clips: ClipFolder) -> int:
    """Write the sound of each clip, and ``labels.jsonl`` with a line for each."""
    import tarfile  # noqa: PLC0415 - for this verb only

    lines = []
    with tarfile.open(fileobj=file, mode="w:gz") as archive:
        for clip in clips.all():
            name = f"{clip.id}.wav"
            try:
                wav = clips.wav(clip)
            except FileNotFoundError:  # the ear has just removed it, because it was the oldest
                continue
            _add(archive, name, wav, clip.began_at)
            lines.append(json.dumps({"file": name, **clip.as_json()}) + "\n")
        if not lines:
            raise InputError("there are no clips to export")
        _add(archive, "labels.jsonl", "".join(lines).encode(), 0)
    return len(lines)


def _add(archive: "tarfile.TarFile", name: str, data: bytes, at: float) -> None:
    member = archive.tarinfo(name)
    member.size, member.mode, member.mtime = len(data), 0o600, int(at)
    archive.addfile(member, io.BytesIO(data))


def play_here(options: "SpeakerOptions", audio: bytes) -> None:
    """Play a sound file on the configured loudspeaker, or raise ``JarvisEarError``."""
    from jarvis_ear.devices.speaker import Speaker  # noqa: PLC0415 - loads the devices

    ended = threading.Event()
    reports: list[Playback] = []
    speaker = Speaker(
        options,
        on_started=lambda _id: None,
        on_ended=lambda _id: ended.set(),
        on_heard=lambda _id, playback: reports.append(playback),
    )
    with speaker:
        speaker.play("clip", 0, "", audio)
        speaker.finish("clip")
        is_over = ended.wait(PLAY_S)
    if not is_over or not reports or not reports[-1].audible:
        why = speaker.problem or "no sound could be played"
        raise SpeakerLost(f"the clip cannot be played: {why}")
