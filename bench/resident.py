"""The process whose memory is measured: `python -m bench.resident SECONDS`.

It loads the modules and models of the daemon and prints a line of JSON, then processes the given
seconds of a mostly quiet home and prints another line.
"""

import json
import sys
from pathlib import Path
from typing import Final

import numpy as np

import jarvis_ear.__main__  # noqa: F401 - what the daemon imports costs memory too
from bench.listener import GATED, end_turn, make_ear
from bench.material import COMMANDS, open_collection, quiet_room, spread
from bench.scene import CLEAN, one_breath, play
from bench.sound import rounded, seconds
from jarvis_ear.audio.frames import Frame
from jarvis_ear.units import FRAME_SAMPLES, SAMPLE_RATE, Samples

KIB: Final = 1024

MINUTE_S: Final = (50, 4, 4)
"""Seconds of silence, noise and conversation in a minute; the rest is a command."""


def status() -> dict[str, float]:
    """Return current and maximum resident memory in MiB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    found = dict(line.split(":", 1) for line in lines if ":" in line)
    return {name: int(found[name].split()[0]) / KIB for name in ("VmRSS", "VmHWM")}


def main() -> None:
    """Load, report, process sound, report."""
    ear = make_ear(GATED)
    _say("loaded")
    length_s = int(sys.argv[1])
    minute = _minute()
    _say("material")
    for at in range(0, length_s * SAMPLE_RATE, FRAME_SAMPLES):
        place = at % (len(minute) // FRAME_SAMPLES * FRAME_SAMPLES)
        frame = Frame(Samples(at), minute[place : place + FRAME_SAMPLES].tobytes())
        for effect in ear.hear(frame):
            end_turn(ear, effect)
    _say("heard")


def _say(what: str) -> None:
    sys.stdout.write(json.dumps({"what": what, **status()}) + "\n")
    sys.stdout.flush()


def _minute() -> np.ndarray:
    collection = open_collection(None)
    quiet_s, noise_s, talk_s = MINUTE_S
    clip = spread(collection.labelled(*COMMANDS), 1)[0]
    return np.concatenate(
        (
            quiet_room("memory", quiet_s),
            rounded(np.resize(collection.household[0].waves, seconds(noise_s))),
            np.resize(collection.talk, seconds(talk_s)),
            play(one_breath(clip), CLEAN, collection, before_s=0.5, after_s=1.5).sound,
        )
    )


if __name__ == "__main__":
    main()
