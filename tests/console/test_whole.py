"""A whole ear that hears a recording, its console, and a browser."""

import os
import re
import wave
from pathlib import Path

import pytest

pytest.importorskip("playwright", reason="playwright is not installed: it drives the browser")
from playwright.sync_api import expect

from fakes.chromium import NEEDS_BROWSER, launch
from fakes.running_ear import RunningEar

pytestmark = NEEDS_BROWSER

RECORDING = Path(__file__).parents[1] / "data" / "hey-jarvis-what-time-is-it.wav"
SOON_MS = 30_000
expect.set_options(timeout=SOON_MS)


@pytest.fixture
def long_recording(tmp_path):
    """A question after eight seconds, and silence for two minutes."""
    with wave.open(str(RECORDING)) as file:
        said = file.readframes(file.getnframes())
    made = tmp_path / "long.wav"
    with wave.open(str(made), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes(bytes(8 * 32_000) + said + bytes(120 * 32_000))
    return made


@pytest.fixture
def ear(tmp_path, long_recording):
    """Make the same ear again and again, with the same folders."""

    def start(*options: str) -> RunningEar:
        heard = ("--with-backend", "--input", str(long_recording), "--speaker.device", "none")
        return RunningEar(tmp_path, os.environ, *heard, *options)

    return start


@pytest.fixture
def page(tmp_path, run_console, open_page):
    """A page of a console that was started before any ear."""
    runtime = tmp_path / "runtime"
    runtime.mkdir()
    with (
        run_console(runtime, "--port", "0") as console,
        launch() as browser,
        open_page(browser, console.stdout.readline().strip()) as page,
    ):
        yield page


def test_a_turn_as_it_happens_and_a_restart(page, ear):
    expect(page.get_by_role("alert").first).to_contain_text("The ear is not running")
    with ear("--console.transcripts") as running:
        expect(page.locator("#pill-link")).to_have_text("backend")
        expect(page.get_by_role("status")).to_have_text("Waiting for the wake word")
        expect(page.get_by_role("status")).to_have_text("Hearing you")
        expect(page.locator(".said")).to_have_text("what time is it")
        expect(page.locator(".reply")).to_contain_text("nothing heard: no speaker")
        expect(page.locator("#turns .chip")).to_have_text("done")
        expect(page.locator("#turns .answer")).to_contain_text("nothing heard: no speaker")
        page.get_by_role("button", name="Mute").click()
        expect(page.get_by_role("status")).to_have_text("Muted")
        assert running.ask("status")["muted_by"] == ["owner"]
        running.kill()
        expect(page.get_by_role("alert").first).to_contain_text("The ear is not running")
    with ear() as running:
        expect(page.get_by_role("status")).to_have_text("Muted")  # a mute survives
        page.get_by_role("button", name="Unmute").click()
        expect(page.get_by_role("status")).to_have_text("Waiting for the wake word")
        assert running.ask("status")["muted_by"] == []
        assert running.ask("tune threshold=0.41") == {"tuned": {"threshold": 0.41}}
        expect(page.locator("#threshold")).to_have_text(" of 0.41")  # after a reload
        # The owner shows the words or hides them: this ear was started without them.
        expect(page.locator(".said")).to_have_text(re.compile(r"15 characters understood"))
        assert "what time is it" not in page.content()
        assert "what time" not in running.told()
