"""The page in a real browser, over a feed of the test: every control, and what it shows."""

import re
import signal
import threading
import time
from contextlib import contextmanager

import pytest

from fakes.ear_feed import STILL, FeedingEar, turn
from jarvis_ear.audio.wav import pcm_to_wav
from jarvis_ear.wake_ledger.clips import FOLDER, Clip, ClipFolder

pytest.importorskip("playwright", reason="playwright is not installed: it drives the browser")
from playwright.sync_api import Browser, Page, expect

from fakes.chromium import NEEDS_BROWSER, launch

pytestmark = NEEDS_BROWSER

SOON_MS = 20_000
NOTHING = "\N{EN DASH}"
expect.set_options(timeout=SOON_MS)


@pytest.fixture(scope="module")
def browser():
    with launch() as started:
        yield started


@pytest.fixture(scope="module")
def console(tmp_path_factory, run_console):
    """An ear that feeds a console, shared by the tests; gives the ear and the address."""
    folder, state = tmp_path_factory.mktemp("runtime"), tmp_path_factory.mktemp("state")
    environ = {"STATE_DIRECTORY": str(state)}
    with FeedingEar(folder) as ear, run_console(folder, "--port", "0", **environ) as process:
        ear.state_folder = state
        yield ear, process.stdout.readline().strip()


@pytest.fixture
def ear(console):
    ear, _ = console
    ear.begin_anew()
    return ear


@pytest.fixture
def open_ear(browser: Browser, open_page):
    """Open the page of a console, which may lose its connection."""

    @contextmanager
    def open_address(address):
        with open_page(browser, address, "WebSocket", "Failed to load") as page:
            expect(page.locator("#pill-ear")).to_have_text("ear")
            yield page

    return open_address


@pytest.fixture
def page(ear, console, open_ear):
    with open_ear(console[1]) as page:
        yield page


@pytest.fixture
def doomed(tmp_path, run_console, open_ear):
    """An ear, a console and a page of their own, for tests that end them."""
    with FeedingEar(tmp_path) as ear, run_console(tmp_path, "--port", "0") as console:
        console.address = console.stdout.readline().strip()
        with open_ear(console.address) as page:
            yield ear, console, page


def wait_until(happens) -> None:
    deadline, pause = time.monotonic() + SOON_MS / 1000, threading.Event()
    while not happens():
        assert time.monotonic() < deadline
        pause.wait(0.01)


def test_the_token_leaves_the_address_and_a_reload_needs_no_other(page: Page):
    assert "token" not in page.url
    page.reload()
    expect(page.locator("#pill-ear")).to_have_text("ear")


def test_the_state_is_shown_and_announced(page: Page, ear):
    status = page.get_by_role("status")
    expect(status).to_have_text("Waiting for the wake word")
    expect(page).to_have_title("Waiting for the wake word · Jarvis kitchen")
    for name, words in [("listening", "Listening"), ("speaking", "Speaking"), ("deaf", "Deaf")]:
        ear.state(name, "because")
        expect(status).to_have_text(words)
        expect(page).to_have_title(f"{words} · Jarvis kitchen")
        expect(page.locator("#why")).to_have_text("because")
    ear.feed.put("link", {"up": False, "why": "refused", "at": 0})
    expect(page.locator("#pill-link")).to_contain_text("backend away since")


def test_the_pill_of_the_ear_is_green_only_while_it_hears(page: Page, ear):
    pill = page.locator("#pill-ear")
    expect(pill).to_have_class("pill good")
    ear.state("deaf", "no microphone")
    expect(pill).to_have_text("ear deaf")
    expect(pill).to_have_class("pill bad")
    ear.mute("owner")
    expect(pill).to_have_text("ear muted")
    expect(pill).to_have_class("pill plain")
    ear.mute()
    expect(pill).to_have_text("ear")
    health = {"hearing": False, "heard_s_ago": 3.0, "stuck": ["sound"]}
    ear.feed.put("health", health)  # only zeros, or nothing at all: the state is still idle
    expect(pill).to_have_text("ear deaf")
    expect(page.locator("#level")).to_have_text(NOTHING)
    ear.feed.put("health", {**health, "hearing": True, "stuck": ["network"]})
    expect(pill).to_have_text("ear hangs")
    expect(pill).to_have_class("pill bad")


@pytest.mark.parametrize("state", ["muted", "deaf"])
def test_no_value_stays_when_there_is_no_sound(page: Page, ear, state):
    expect(page.locator("#level")).to_have_text(re.compile(r"-\d+ dBFS"))
    ear.is_silent = True  # nothing comes after it: no other value of the topic
    ear.state(state)
    for figure in ("#level", "#speech", "#score"):
        expect(page.locator(figure)).to_have_text(NOTHING)
    loud = "getComputedStyle(document.querySelector('#orb')).getPropertyValue('--loud').trim()"
    assert float(page.evaluate(loud)) == 0


def test_a_deaf_ear_shows_why_and_what_to_do(page: Page, ear):
    deaf = {"deaf_reason": "usb gives only zeros", "deaf_remedy": "look at the cable"}
    ear.state("deaf", "the microphone gives no sound")
    expect(page.locator("#why")).to_have_text("the microphone gives no sound")
    ear.feed.put("health", {**STILL["health"], **deaf, "hearing": False, "clipped_percent": 0.5})
    expect(page.locator("#why")).to_have_text("usb gives only zeros. To do: look at the cable")
    expect(page.locator("#health")).to_contain_text("0.5 % of the last minute")
    ear.feed.put("health", STILL["health"])
    ear.state("idle", "the microphone is there")
    expect(page.locator("#why")).to_have_text("the microphone is there")


def test_the_mute_button(page: Page, ear):
    button = page.get_by_role("button", name="Mute")
    expect(button).to_have_attribute("aria-pressed", "false")
    button.click()
    expect(page.get_by_role("button", name="Unmute")).to_have_attribute("aria-pressed", "true")
    expect(page.locator("#why")).to_have_text("The microphone is closed by you, until you unmute.")
    page.keyboard.press("m")
    expect(button).to_have_attribute("aria-pressed", "false")
    assert ear.ordered == ["toggle", "toggle"]
    ear.mute("clock", "bus")
    expect(page.locator("#why")).to_have_text(
        "The microphone is closed by the clock, until 07:00, and by the bus, until it lets go."
    )
    ear.mute("owner", until="13:40")
    expect(page.locator("#why")).to_have_text("The microphone is closed by you, until 13:40.")


def test_the_stop_button(page: Page, ear):
    button = page.get_by_role("button", name="Stop")
    expect(button).to_be_disabled()
    ear.state("speaking")
    button.click()
    expect(page.get_by_role("status")).to_have_text("Waiting for the wake word")
    ear.state("capturing")
    expect(button).to_be_enabled()
    page.keyboard.press("s")
    expect(button).to_be_disabled()
    assert ear.ordered == ["stop", "stop"]


def test_the_listen_button(page: Page, ear):
    button = page.get_by_role("button", name="Listen")
    expect(button).to_be_enabled()
    button.click()
    expect(page.get_by_role("status")).to_have_text("Listening")
    expect(button).to_be_disabled()
    ear.state("speaking")
    expect(button).to_be_enabled()
    page.keyboard.press("l")
    expect(button).to_be_disabled()
    ear.mute("owner")
    expect(page.get_by_role("status")).to_have_text("Muted")
    expect(button).to_be_disabled()
    assert ear.ordered == ["listen", "listen"]


def test_sound_score_and_threshold(page: Page):
    expect(page.locator("#level")).to_have_text(re.compile(r"-\d+ dBFS"))
    expect(page.locator("#score")).to_have_text(re.compile(r"0\.\d\d"))
    expect(page.locator("#threshold")).to_have_text(" of 0.5")
    expect(page.get_by_role("img", name=re.compile("level -[0-9]+ dBFS now"))).to_be_visible()
    painted = """canvas => new Set(canvas.getContext("2d").getImageData(
        0, 0, canvas.width, canvas.height).data).size"""
    wait_until(lambda: page.locator("canvas").evaluate(painted) > 20)


def test_turns_words_and_waterfalls(page: Page, ear):
    ear.feed.put("turn:a", turn("a", began_at=1.0))
    ear.feed.put(
        "turn:b",
        turn(
            "b", began_at=2.0, outcome="failed", cause="not_understood", chunks=0, transcript="<b>"
        ),
    )
    expect(page.locator(".said")).to_have_text(["what time is it", "<b>"])
    titles = page.locator("#turns .title")
    expect(titles).to_have_text(["“<b>”", "“what time is it”"])
    expect(page.locator("#turns .chip")).to_have_text(["failed", "done"])
    page.locator("#turns summary").last.click()
    expect(page.locator("#turns details[open]")).to_contain_text("first sound1.50 s")
    ear.feed.put("turn:c", turn("c", began_at=3.0, outcome="", transcript="more", stages_ms={}))
    expect(titles).to_have_count(3)
    expect(page.locator("#turns details[open]")).to_have_count(1)  # it stays open
    ear.feed.put("turn:a", None)
    expect(titles).to_have_count(2)


def test_a_reply_is_shown_even_if_the_wire_says_nothing_of_the_question(page: Page, ear):
    silent = turn("a", reply="It is noon.", heard="all")
    del silent["characters"], silent["transcript"]
    ear.feed.put("turn:a", silent)
    expect(page.locator(".reply")).to_have_text("It is noon.")
    expect(page.locator(".said")).to_be_hidden()


def test_what_is_wrong_has_its_remedy_beside_the_state(page: Page, ear):
    troubles = [["backend: refused", "start it"], ["loudspeaker: <none>", "jarvis-ear devices"]]
    ear.feed.put("health", {**STILL["health"], "troubles": troubles})
    expect(page.locator("#troubles li")).to_have_text(
        ["backend: refused. To do: start it", "loudspeaker: <none>. To do: jarvis-ear devices"]
    )
    ear.feed.put("health", {**STILL["health"], "troubles": []})
    expect(page.locator("#troubles li")).to_have_count(0)


SCORES = [0.1, 0.6, 0.7, 0.2, 0.6, *(0.1 for _ in range(20)), 0.55, 0.1]
"""Every 100 ms: a word whose score falls once, another one, and silence between them."""


@pytest.mark.parametrize(("threshold", "count"), [(0.5, 2), (0.65, 1), (0.9, 0), (0.05, 1)])
def test_what_another_threshold_would_have_done(page: Page, threshold, count):
    samples = [{"at": 100 * place, "score": score} for place, score in enumerate(SCORES)]
    wakes = """async ([samples, threshold]) =>
        (await import("/console/tuning.js")).wakes(samples, threshold).length"""
    assert page.evaluate(wakes, [samples, threshold]) == count


def test_the_pauses_of_a_speech(page: Page):
    spoken = [(0, 1), (20, 1), (320, 0), (620, 1), (640, 1), (5000, 1), (5020, 0), (5300, 1)]
    samples = [{"at": at, "speech": bool(speech)} for at, speech in spoken]
    pauses = "async (samples) => (await import('/console/tuning.js')).pauses(samples)"
    assert page.evaluate(pauses, samples) == [600, 300]  # what a gap was in is not known


def test_tuning_changes_nothing_until_it_is_stored(page: Page, ear):
    page.locator("#tune summary").click()
    threshold = page.get_by_label("Threshold of the wake word")
    expect(threshold).to_have_value("0.5")
    store = page.get_by_role("button", name="Store and use")
    expect(store).to_be_disabled()
    threshold.fill("0.62")
    page.get_by_label("Silence that ends an utterance").fill("950")
    expect(page.locator("#tune-threshold-value")).to_have_text("0.62")
    expect(page.locator("#tune-wakes")).to_contain_text("would have woken")
    expect(page.locator("#tune-pauses")).to_contain_text("would have ended an utterance")
    assert ear.ordered == []
    store.click()
    expect(page.locator("#tune-answer")).to_contain_text("Stored")
    expect(page.locator("#threshold")).to_have_text(" of 0.62")
    expect(store).to_be_disabled()  # what is tried is in force
    threshold.fill("0.95")
    store.click()
    expect(page.locator("#tune-answer")).to_have_text(
        "That did not work: hearing.wake.threshold is set in another place"
    )
    page.get_by_role("button", name="Back to the configured values").click()
    expect(threshold).to_have_value("0.5")
    assert ear.ordered == [
        *("tune threshold=0.62 hangover_ms=950", "tune threshold=0.95", "tune default"),
    ]


def test_clips_are_listed_and_played(page: Page, ear):
    expect(page.locator("#clips-card")).to_be_hidden()
    words = ("0123abcd", "near_miss", "2026-01-02T03:04:05.678+00:00", 0.43, 0.5, "Hey Jarvis")
    with ClipFolder(ear.state_folder / FOLDER) as clips:
        clips.add(Clip(*words, -21.4, -60.2, 0.0, 1.0), pcm_to_wav(bytes(320_000)))
    near = {"at": 0, "score": 0.43, "reason": "it was quiet", "remedy": "speak up"}
    ear.feed.put("near_miss", near)
    expect(page.locator("#clips li")).to_contain_text("score 0.43 of 0.5")
    button = page.get_by_role("button", name="Play: near miss")
    button.click()
    expect(button).to_have_text("Stop")
    button.click()
    expect(button).to_have_text("Play")
    with ClipFolder(ear.state_folder / FOLDER) as clips:
        clips.purge()
    button.click()
    expect(page.locator("#clips-note")).to_contain_text("there is no such clip now")


def is_at_its_end(page: Page) -> bool:
    return page.locator("#words").evaluate(
        "list => list.scrollHeight - list.scrollTop - list.clientHeight < 5 && list.scrollTop > 50"
    )


def test_the_conversation_opens_at_the_newest_turn_and_stays_there(page: Page, ear):
    for number in range(12):
        ear.feed.put(
            f"turn:{number}", turn(str(number), began_at=number, transcript="some words " * 20)
        )
    expect(page.locator(".said")).to_have_count(12)
    wait_until(lambda: is_at_its_end(page))
    page.reload()
    expect(page.locator(".said")).to_have_count(12)
    wait_until(lambda: is_at_its_end(page))
    ear.feed.put("turn:0", None)
    ear.feed.put("turn:12", turn("12", began_at=12, transcript="the newest " * 60))
    expect(page.locator(".said").last).to_contain_text("the newest")
    wait_until(lambda: is_at_its_end(page))
    page.locator("#words").evaluate("list => { list.scrollTop = 300; }")
    ear.feed.put("turn:13", turn("13", began_at=13, transcript="what comes later"))
    expect(page.locator(".said").last).to_contain_text("what comes later")
    assert not is_at_its_end(page)  # a person who has scrolled back goes on reading


def test_a_reply_is_called_heard_only_where_the_ear_says_so(page: Page, ear):
    ear.feed.put("turn:a", turn("a"))
    expect(page.locator(".reply")).to_have_text("Answered with one piece of speech.")
    for heard, why, words in [
        ("all", "", "played by the ear"),
        ("part", "sentences_missing", "heard in part: sentences missing"),
        ("none", "no_speaker", "nothing heard: no speaker"),
        ("interrupted", "interrupted", "interrupted"),
    ]:
        ear.feed.put("turn:a", turn("a", heard=heard, heard_reason=why))
        expect(page.locator(".reply")).to_have_text(f"Answered with one piece of speech, {words}.")


def test_words_that_the_owner_hides(page: Page, ear):
    ear.feed.put("words", {"shown": False})
    hidden = {name: value for name, value in turn("a").items() if name != "transcript"}
    ear.feed.put("turn:a", hidden)
    expect(page.locator(".said")).to_contain_text("15 characters understood. The words are hidden")


STUCK = {"hearing": False, "stuck": ["wake model"], "uptime_s": 4000}
AWAY = {
    "hearing": True,
    "stuck": [],
    "backend_url": "http://192.168.1.20:4000",
    "backend_reason": "connection refused",
    "backend_remedy": "start it",
    "noted": [["gaps in what the microphone gave", 2]],
}


OF_07 = re.compile(r"^\s*of 0\.7$")


@pytest.mark.parametrize(
    ("news", "place", "words"),
    [
        (("wake", {"word": "Computer", "threshold": 0.7}), "#threshold", OF_07),
        (("health", STUCK), "#health .bad", re.compile("^Does not movewake model$")),
        (("health", STUCK), "#health", "1 h 6 min"),
        (("health", AWAY), "#health", "Backendhttp://192.168.1.20:4000"),
        (("health", AWAY), "#health", "Backend away becauseconnection refused. To do: start it"),
        (("health", AWAY), "#health", "gaps in what the microphone gave2"),
    ],
)
def test_a_change_is_shown(page: Page, ear, news, place, words):
    expect(page.locator("#health")).to_contain_text("Hearsyes")
    expect(page.locator("#health")).not_to_contain_text("move")
    ear.feed.put(*news)
    expect(page.locator(place)).to_contain_text(words)


def test_modules_are_there_when_there_is_a_bus(page: Page, ear):
    expect(page.get_by_role("heading", name="Modules")).to_be_hidden()
    health = {"hearing": True, "stuck": [], "bus": "connected", "modules": {"vision": False}}
    ear.feed.put("health", health)
    vision, audio = (page.get_by_role("switch", name=name) for name in ("Vision", "Audio"))
    expect(vision).not_to_be_checked()
    vision.click()
    wait_until(lambda: ear.ordered == ["vision-on"])
    audio.click()
    expect(page.get_by_role("status")).to_have_text("Muted")
    expect(audio).not_to_be_checked()
    ear.feed.put("health", {**health, "bus": "trying"})
    expect(vision).to_be_disabled()


def test_partial_words_are_shown_during_the_speech(page: Page, ear):
    so_far = {key: value for key, value in turn("a", chunks=0).items() if key != "transcript"}
    ear.feed.put("turn:a", {**so_far, "outcome": "", "partial": "what time"})
    expect(page.locator(".said.partial")).to_have_text("what time")
    ear.feed.put("turn:a", turn("a", reply="It is noon.", reply_characters=11))
    expect(page.locator(".said.partial")).to_have_count(0)
    expect(page.locator(".reply")).to_have_text("It is noon.")


def test_a_gap_is_marked(page: Page, ear):
    ear.feed.put("gaps", {"lost_ms": 120})
    expect(page.get_by_role("img", name=re.compile("1 gaps"))).to_be_visible()


def test_a_near_miss_is_marked_and_explained(page: Page, ear):
    near = {"at": 0, "score": 0.34, "reason": "it was very quiet", "remedy": "raise the gain"}
    ear.feed.put("near_miss", near)
    expect(page.get_by_role("img", name=re.compile("1 near misses"))).to_be_visible()
    counted = {"near_misses_in_hour": 2, "near_miss_best_score": 0.41}
    why = {"near_miss_reason": near["reason"], "near_miss_remedy": near["remedy"]}
    ear.feed.put("health", {**STILL["health"], "near_misses_in_hour": 0})
    expect(page.locator("#health")).to_contain_text("Near missesnone in the last hour")
    ear.feed.put("health", {**STILL["health"], **counted, **why})
    expect(page.locator("#health")).to_contain_text("Near misses2 in the last hour")
    expect(page.locator("#health")).to_contain_text(
        "Did not wake becauseit was very quiet (best score 0.41). If that was you: raise the gain"
    )
    page.reload()
    expect(page.locator("#pill-ear")).to_have_text("ear")
    expect(page.get_by_role("img", name=re.compile("near misses"))).to_have_count(0)  # it is old


def test_a_page_reconnects_after_a_restart_of_the_ear(doomed, tmp_path):
    ear, _, page = doomed
    ear.__exit__(None, None, None)
    expect(page.get_by_role("alert").first).to_contain_text("The ear is not running")
    expect(page.get_by_role("button", name="Mute")).to_be_disabled()
    with FeedingEar(tmp_path) as second:
        second.state("thinking")
        expect(page.get_by_role("status")).to_have_text("Thinking")
        expect(page.locator("#banner")).to_be_hidden()
        page.keyboard.press("m")
        wait_until(lambda: second.ordered == ["toggle"])


def test_a_restarted_console_asks_for_its_token(doomed, tmp_path, run_console):
    _, console, page = doomed
    console.send_signal(signal.SIGTERM)
    console.wait(10)
    expect(page.get_by_role("alert").first).to_contain_text("The console has stopped")
    port = re.search(r":(\d+)/", console.address)[1]
    with run_console(tmp_path, "--port", port) as second:
        field = page.get_by_label("Token")
        expect(field).to_be_visible()
        field.fill("wrong")
        page.get_by_role("button", name="Open").click()
        expect(page.locator("#gate-error")).to_contain_text("not the one")
        field.fill(second.stdout.readline().strip())  # the whole address will do, too
        page.keyboard.press("Enter")
        expect(page.locator("#pill-ear")).to_have_text("ear")


def test_the_keyboard_alone_is_enough(page: Page, ear):
    ear.state("speaking")
    page.keyboard.press("?")
    dialog = page.get_by_role("dialog", name="Keyboard")
    expect(dialog).to_be_visible()
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    page.reload()
    expect(page.get_by_role("button", name="Stop")).to_be_enabled()
    reached = []
    for _ in range(5):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.textContent.trim()"))
        assert page.evaluate("document.activeElement.matches(':focus-visible')")
    assert [one.split()[0] for one in reached] == ["To", "?Keyboard", "Mute", "Listen", "Stop"]


def test_a_screen_reader_finds_everything_by_name(page: Page, ear):
    ear.feed.put("turn:a", turn("a"))
    expect(page.locator("#turns .title")).to_have_count(1)
    snapshot = page.locator("body").aria_snapshot()
    for line in [
        'heading "Jarvis kitchen" [level=1]',
        'list "Connections"',
        'heading "State" [level=2]',
        'button "Mute"',
        'button "Stop" [disabled]',
        'heading "Sound" [level=2]',
        'img "The last 30 seconds of sound',
        'heading "Conversation" [level=2]',
        'heading "Where the time went" [level=2]',
        'heading "Health" [level=2]',
    ]:
        assert line in snapshot, snapshot
    assert "textbox" not in snapshot  # nothing of the backend's console, and no gate


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 390, 1280])
def test_nothing_overflows_on_any_screen(browser: Browser, ear, console, width, scheme):
    context = browser.new_context(
        viewport={"width": width, "height": 844}, color_scheme=scheme, reduced_motion="reduce"
    )
    try:
        page = context.new_page()
        page.goto(console[1])
        ear.feed.put("turn:a", turn("a", transcript="a long sentence " * 20))
        expect(page.locator("#turns .title")).to_have_count(1)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        moving = "document.getAnimations().filter(one => one.playState === 'running').length"
        ear.state("thinking")
        expect(page.get_by_role("status")).to_have_text("Thinking")
        assert page.evaluate(moving) == 0
    finally:
        context.close()
