"""Write the pictures of docs/images: the console of a made-up ear, on a desktop and on a phone.

It takes half a minute, because the time line shows the last 30 s.
"""

import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from playwright.sync_api import Page

from fakes.chromium import launch
from fakes.ear_feed import FeedingEar, turn

IMAGES: Final = Path(__file__).parents[1] / "docs" / "images"

PICTURES: Final[Mapping[str, Mapping[str, Any]]] = {
    "console-light.png": {
        "viewport": {"width": 1120, "height": 860},
        "color_scheme": "light",
    },
    "console-dark-phone.png": {
        "viewport": {"width": 390, "height": 860},
        "color_scheme": "dark",
        "has_touch": True,
        "is_mobile": True,
    },
}

SAID: Final = (
    ("set a timer for ten minutes", "Ten minutes, starting now."),
    ("turn on the light in the kitchen", "The light in the kitchen is on."),
    ("what time is it", "It is twenty to one."),
)
EARLIER_S: Final = (310, 190, 95)
"""How long ago each of them was said."""

NEWEST: Final = "how warm is it outside"
STAGES: Final = {"wake": -900, "end_of_speech": 0, "captured": 800, "sent": 805, "processing": 830}

ORDINARY, WOKEN = 0.18, 0.93
"""Wake scores of ordinary speech and of the wake word."""

TRIED: Final = "0.15"
"""A threshold at which ordinary speech would wake the ear."""


@contextmanager
def _console(folder: Path) -> Iterator[str]:
    """Run the console of the ear in a folder; give its address."""
    command = [sys.executable, "-m", "jarvis_ear", "console", "--port", "0"]
    environ = {**os.environ, "RUNTIME_DIRECTORY": str(folder)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environ) as process:  # noqa: S603 - our own program
        try:
            assert process.stdout is not None  # noqa: S101 - it is a pipe
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


def _earlier(ear: FeedingEar) -> None:
    for number, ((said, reply), ago_s) in enumerate(zip(SAID, EARLIER_S, strict=True)):
        more = 260 * number
        stages = STAGES | {"wake": -900 - more, "transcript": 1010 + more}
        stages |= {"first_audio": 1290 + more, "done": 2900 + more}
        made = turn(str(number), began_at=time.time() - ago_s, transcript=said, heard="all")
        made |= {"characters": len(said), "stages_ms": stages, "reply": reply}
        ear.feed.put(f"turn:{number}", made)


def _live(ear: FeedingEar) -> None:
    """Let half a minute pass: a mute, a lost piece of sound, a wake word, and a reply."""
    newest = turn("9", began_at=time.time() + 25, outcome="", heard="")
    newest |= {"transcript": NEWEST, "characters": len(NEWEST), "reply": "It is four degrees."}
    ear.peak = ORDINARY
    _wait_for(ear, 110)
    ear.is_silent = True
    ear.mute("owner")
    _wait_for(ear, 145)
    ear.is_silent = False
    ear.mute()
    _wait_for(ear, 200)
    ear.feed.put("gaps", {"lost_ms": 120})
    _wait_for(ear, 290)
    ear.peak = WOKEN
    _wait_for(ear, 311)
    ear.state("listening", "wake word")
    ear.feed.put(
        "turn:9",
        {
            "id": "9",
            "began_at": newest["began_at"],
            "score": WOKEN,
            "stages_ms": {"wake": 0},
            "outcome": "",
        },
    )
    _wait_for(ear, 315)
    ear.state("capturing", "speech")
    _wait_for(ear, 335)
    ear.state("thinking", "the utterance is over")
    _wait_for(ear, 347)
    newest["stages_ms"] = STAGES | {"transcript": 1160, "first_audio": 1480}
    ear.feed.put("turn:9", newest)
    ear.state("speaking", "the reply begins")
    _wait_for(ear, 360)


def _wait_for(ear: FeedingEar, tick: int) -> None:
    """Wait until the sound has come so far. The ear speaks in each first third of 75 ticks."""
    while ear.ticks < tick:
        threading.Event().wait(0.02)


def main() -> None:
    """Open both pages, let the ear hear for half a minute, and take the pictures."""
    with (
        tempfile.TemporaryDirectory() as folder,
        FeedingEar(Path(folder)) as ear,
        _console(Path(folder)) as address,
        launch() as browser,
    ):
        _earlier(ear)
        pages = {}
        for name, options in PICTURES.items():
            pages[name] = browser.new_context(locale="en-GB", **options).new_page()
            pages[name].goto(address)
        _live(ear)
        for name, page in pages.items():
            page.screenshot(path=IMAGES / name)
        _tune(pages["console-light.png"])


def _tune(page: Page) -> None:
    """Try a threshold that ordinary speech would reach, and take a picture of the panel."""
    page.locator("#tune summary").click()
    page.locator("#tune-threshold").fill(TRIED)
    threading.Event().wait(0.5)  # the picture of the sound is drawn 25 times a second
    page.locator(".sound").screenshot(path=IMAGES / "console-tune.png")


if __name__ == "__main__":
    main()
