"""The page of the backend in a real browser with a microphone: a question in, an answer out."""

import re

import numpy as np
import pytest
import socketio

pytest.importorskip("playwright", reason="playwright is not installed: it drives the browser")
from playwright.sync_api import expect

from fakes.chromium import NEEDS_BROWSER, launch
from fakes.engines import scripted
from jarvis_backend.config import BackendConfig
from jarvis_backend.server import Server
from jarvis_ear.audio.wav import pcm_to_wav
from jarvis_ear.wires import socketio as wire

pytestmark = NEEDS_BROWSER

SOON_MS = 30_000
NOTHING = "\N{EN DASH}"
expect.set_options(timeout=SOON_MS)

SPOKEN_DBFS = re.compile(r"-[1-3]?\d dBFS")


@pytest.fixture(scope="module")
def browser(tmp_path_factory, what_time):
    """A browser whose microphone hears "what time is it" once."""
    said = tmp_path_factory.mktemp("microphone") / "said.wav"
    said.write_bytes(pcm_to_wav(np.concatenate([what_time, np.zeros(16_000, "<i2")]).tobytes()))
    with launch(
        "--use-fake-device-for-media-stream",
        "--use-fake-ui-for-media-stream",
        "--autoplay-policy=no-user-gesture-required",
        f"--use-file-for-fake-audio-capture={said}%noloop",
    ) as started:
        yield started


@pytest.fixture
def open_page(browser):
    """Open the page of a server, logged in; at the end the browser must have reported no error."""
    opened, complaints = [], []

    def start(url, *, password="jarvis"):
        context = browser.new_context(permissions=["microphone"])
        page = context.new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda line: line.type == "error" and complaints.append(line.text))
        opened.append(context)
        page.goto(f"{url}/console")
        page.get_by_label("Password").fill(password)
        page.keyboard.press("Enter")
        return page

    yield start
    for context in opened:
        context.close()
    lost = ("Failed to load", "WebSocket")  # what a browser says of a server that is gone
    assert [line for line in complaints if not any(word in line for word in lost)] == []


@pytest.fixture(scope="module")
def real():
    """A backend with its real engines."""
    with Server(BackendConfig(port=0, console=True, password="jarvis")) as server:
        yield server.url


@pytest.fixture
def plain():
    """A backend with scripted engines."""
    with Server(BackendConfig(port=0, console=True, password="jarvis"), scripted()) as server:
        yield server


def test_a_person_asks_and_is_answered(open_page, real):
    page = open_page(real)
    page.get_by_role("button", name="Talk").click()
    expect(page.get_by_role("status")).to_have_text("Hearing you")
    expect(page).to_have_title("Hearing you · Jarvis backend")
    expect(page.locator("#level")).to_have_text(SPOKEN_DBFS)
    expect(page.locator("#speech")).to_have_text("no")  # it was said
    expect(page.locator(".said.partial")).to_contain_text("what")  # understood while speaking
    page.keyboard.press("t")
    expect(page.locator(".said")).to_have_text("what time is it")
    expect(page.locator(".reply")).to_contain_text("It is ")
    expect(page.locator("#turns .chip")).to_have_text("done")
    page.locator("#turns summary").click()
    expect(page.locator("#turns details")).to_contain_text("understood")
    assert page.get_by_role("status").text_content() == "Ready"  # it waits to be asked for
    page.get_by_role("button", name="Play the reply").click()
    expect(page.get_by_role("status")).to_have_text("Speaking")
    expect(page.get_by_role("status")).to_have_text("Ready")


def test_stop_abandons_the_question(open_page, plain):
    page = open_page(plain.url)
    page.get_by_role("button", name="Talk").click()
    expect(page.get_by_role("status")).to_have_text("Hearing you")
    expect(page.locator("#level")).to_have_text(re.compile("dBFS"))
    page.keyboard.press("s")
    expect(page.get_by_role("status")).to_have_text("Ready")
    expect(page.locator("#turns .title")).to_have_text("your question")
    for figure in ("#level", "#speech"):
        expect(page.locator(figure)).to_have_text(NOTHING)
    expect(page.locator("#turns .chip")).to_have_text("abandoned")
    page.keyboard.press("t")
    expect(page.get_by_role("status")).to_have_text("Hearing you")


def test_a_wrong_password_is_shown_and_no_token_is_stored(open_page, plain):
    page = open_page(plain.url, password="wrong")
    expect(page.locator("#gate-error")).to_contain_text("does not accept this password")
    page.get_by_label("Password").fill("jarvis")
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("button", name="Talk")).to_be_enabled()
    stored = "JSON.stringify([localStorage, sessionStorage, document.cookie, location.href])"
    assert "eyJ" not in page.evaluate(stored)
    page.reload()
    expect(page.get_by_label("Password")).to_be_visible()


def test_a_switched_module_is_shown_on_every_page_and_on_later_ones(open_page, plain):
    one, other = open_page(plain.url), open_page(plain.url)
    for page in (one, other):
        expect(page.get_by_role("switch", name="Vision")).to_be_enabled()
    one.get_by_text("Vision", exact=True).click()
    expect(other.get_by_role("switch", name="Vision")).not_to_be_checked()
    expect(other.locator("#events")).to_contain_text("module_status_changed")
    one.get_by_role("switch", name="Action").click()
    expect(other.get_by_role("switch", name="Action")).not_to_be_checked()
    late = open_page(plain.url)
    for name in ("Vision", "Action"):
        expect(late.get_by_role("switch", name=name)).not_to_be_checked()


def test_satellites_come_and_go(open_page, plain, log_in):
    page = open_page(plain.url)
    expect(page.locator("#agents-empty")).to_be_visible()
    satellite = socketio.Client(reconnection=False)
    satellite.connect(plain.url, auth={"token": log_in(plain.url)}, namespaces=[wire.NAMESPACE])
    try:
        satellite.emit(wire.AUDIO_START, {"agentId": "kitchen"}, namespace=wire.NAMESPACE)
        expect(page.locator("#agents")).to_contain_text("kitchenrecording, for")
    finally:
        satellite.disconnect()
    expect(page.locator("#agents-empty")).to_be_visible()


def test_health_says_what_it_works_with(open_page, plain):
    page = open_page(plain.url)
    expect(page.locator("#health")).to_contain_text("Understands withscripted")
    plain.stop()
    expect(page.get_by_role("alert").first).to_contain_text("cannot be reached")
