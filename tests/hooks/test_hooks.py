"""Hooks: which events reach programs and the URL, and what a bad receiver cannot do."""

import asyncio
import json
import logging
import os
import re
import sys
import threading
from pathlib import Path

import pytest

from fakes.clock import FakeClock
from fakes.descriptors import no_descriptors
from fakes.light import a_light
from fakes.tls import Authority, TlsFront
from fakes.voice_server import wait_until
from jarvis_ear.config import HOOKS, HookOptions
from jarvis_ear.hooks.event import MAX_WAITING, OCCURRENCES, HookEvent, HookQueue
from jarvis_ear.hooks.hooks import Hooks
from jarvis_ear.hooks.receivers import (
    HookFailedError,
    missing_programs,
    post_body,
    run_program,
)
from jarvis_ear.link.tls_and_tcp import TrustStore

DOCS = Path(__file__).parents[2] / "docs"
SECRETS = {
    "JARVIS_PASSWORD": "canary",
    "JARVIS_EAR_BUS__KEY": "canary",
    "CREDENTIALS_DIRECTORY": "/canary",
    "NOTIFY_SOCKET": "/canary",
    "PYTHONPATH": "/canary",
}
LONG_S = 60.0
"""A time-out that no test waits for."""

NOTES = """echo $(sed 's/.*"event": "\\([a-z]*\\)".*/\\1/') >> {}"""
"""A line of shell that writes down which events it gets."""

HANGS = "echo began >> {}; sleep 600"

LEAVES = "sleep 600 & echo $! > {}"
"""A line of shell that starts a process and ends before it."""

STAYS = LEAVES + "; wait"


def event(name: str, **more: str) -> HookEvent:
    return HookEvent(name, 1_700_000_000.0, "kitchen", **more)


def run(script: str, *words: object, timeout_s: float = LONG_S) -> None:
    asyncio.run(run_program((sys.executable, "-c", script, *map(str, words)), b"{}", timeout_s))


def program(script: str, *words: object) -> tuple[str, ...]:
    return (sys.executable, "-c", script, *map(str, words))


def shell(line: str, *words: Path) -> tuple[str, ...]:
    return ("/bin/sh", "-c", line.format(*words))


def lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


def is_running(pid: int) -> bool:
    """Whether there is such a process which is not a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def warnings(caplog) -> list[str]:
    return [each.message for each in caplog.records if each.levelno == logging.WARNING]


def test_an_event_is_one_json_object_with_every_key():
    made = event("failed", turn_id="ab", state="idle", verdict="expired", code="too_old")
    assert made.body() == (
        b'{"schema": 1, "event": "failed", "at": "2023-11-14T22:13:20.000+00:00", '
        b'"agent_id": "kitchen", "turn_id": "ab", "state": "idle", "previous": "", "reason": "", '
        b'"verdict": "expired", "code": "too_old"}'
    )


def test_the_page_has_a_row_for_every_event_and_every_key():
    page = (DOCS / "operations.md").read_text().partition("## Hooks")[2].partition("\n## ")[0]
    _, events, keys, *_ = re.split(r"\|---\|---\|\n", page)
    assert re.findall(r"^\| `(\w+)` \|", events, re.MULTILINE) == list(HOOKS)
    named = re.findall(r"`(\w+)`", "".join(re.findall(r"^\| (.*?) \|", keys, re.MULTILINE)))
    assert named == list(json.loads(event("idle").body()))


def test_every_event_is_a_state_or_an_occurrence():
    states = {name for name in HOOKS if event(name).is_state}
    assert states == set(HOOKS) - set(OCCURRENCES)
    assert len(states) == 7


def taken(queue: HookQueue) -> list[str]:
    return [each.name for each in queue.drain()]


def test_a_newer_state_replaces_one_that_waits_and_no_occurrence():
    queue = HookQueue()
    for name in ("wake", "listening", "capturing", "failed", "thinking", "idle"):
        queue.post(event(name))
    assert taken(queue) == ["wake", "failed", "idle"]
    assert (queue.replaced, queue.dropped) == (3, 0)


def test_the_oldest_occurrences_are_dropped_and_never_the_state():
    queue = HookQueue()
    for name in ("muted", *["wake"] * MAX_WAITING, "failed", "failed"):
        queue.post(event(name))
    assert taken(queue) == ["muted", *["wake"] * (MAX_WAITING - 2), "failed", "failed"]
    assert (queue.replaced, queue.dropped) == (0, 2)


def test_equal_states_are_one():
    queue = HookQueue()
    queue.post(event("idle"))
    queue.post(event("idle"))
    assert taken(queue) == ["idle"]
    assert queue.replaced == 1


def test_a_program_gets_its_arguments_as_they_are_and_little_else(tmp_path, monkeypatch):
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("LANG", "de_AT.UTF-8")
    monkeypatch.delenv("HOME")
    seen = tmp_path / "seen"
    script = f"""
import json, os, sys
led = os.getsid(0) == os.getpid()
found = sys.stdin.read(), sys.argv[1:], dict(os.environ), os.getcwd(), led
json.dump(found, open({str(seen)!r}, "w"))
"""
    run(script, "a b", "$HOME; exit 1")
    body, words, environment, folder, leads = json.loads(seen.read_text())
    assert (body, words, folder, leads) == ("{}", ["a b", "$HOME; exit 1"], "/", True)
    environment.pop("LC_CTYPE", None)  # Python itself may add it
    usual = {"PATH": os.environ["PATH"], "LANG": "de_AT.UTF-8", "HOME": "/"}
    assert environment == usual


def test_no_descriptor_is_passed_on():
    inheritable = os.open("/dev/null", os.O_RDONLY)
    os.set_inheritable(inheritable, True)  # noqa: FBT003 - as it is
    try:
        run("import os, sys; sys.exit(len(os.listdir('/proc/self/fd')) != 4)")
    finally:
        os.close(inheritable)


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        (program("raise SystemExit(3)"), "exit status 3"),
        (program("import os; os.kill(os.getpid(), 9)"), "killed by signal 9"),
        (("/none/led",), "cannot be started: no such file"),
        (("/dev/null",), "cannot be started: permission denied"),
        (("/bin/true", "\ud800"), "cannot be started: UnicodeEncodeError"),
    ],
)
def test_a_program_that_fails_says_why(command, reason):
    with pytest.raises(HookFailedError, match=reason):
        asyncio.run(run_program(command, b"{}", LONG_S))


def test_a_program_need_not_read_and_may_write_a_lot():
    flood = (
        "import sys; sys.stdin.close(); sys.stderr.write('x' * 1_000_000); print('y' * 1_000_000)"
    )
    run(flood)
    run("pass")


def test_the_last_line_of_a_program_is_in_the_debug_log_only(caplog):
    caplog.set_level(logging.DEBUG)
    with pytest.raises(HookFailedError) as failed:
        run("raise ValueError('no such light')")
    assert "no such light" not in str(failed.value)
    assert "a hook says: ValueError: no such light" in caplog.text


def test_without_descriptors_a_program_fails_and_nothing_is_left():
    with no_descriptors(spare=1), pytest.raises(HookFailedError, match="too many open files"):
        _Loop.run(run_program(("/bin/true",), b"{}", LONG_S))


class _Loop:
    """An event loop that is open before the descriptors are gone."""

    loop = asyncio.new_event_loop()

    @classmethod
    def run(cls, work) -> None:
        cls.loop.run_until_complete(work)


def test_a_program_that_hangs_is_killed_with_its_children(tmp_path):
    told = tmp_path / "pid"
    with pytest.raises(HookFailedError, match=r"did not end within 1 s, and was killed"):
        asyncio.run(run_program(shell(STAYS, told), b"{}", 1.0))
    wait_until(lambda: not is_running(int(told.read_text())))


def test_what_a_program_leaves_in_its_group_is_killed(tmp_path):
    told = tmp_path / "pid"
    asyncio.run(run_program(shell(LEAVES, told), b"{}", LONG_S))
    wait_until(lambda: not is_running(int(told.read_text())))


def test_an_event_is_told_to_its_program_only(tmp_path):
    woken, idle = tmp_path / "woken", tmp_path / "idle"
    options = HookOptions(wake=shell(NOTES, woken), idle=shell(NOTES, idle))
    with Hooks(options) as hooks:
        for name in ("wake", "listening", "thinking", "idle"):
            hooks.post(event(name))
        wait_until(lambda: lines(idle))
    assert (lines(woken), lines(idle)) == (["wake"], ["idle"])
    assert hooks.counters() == {"hooks_failed": 0, "hooks_dropped": 0, "hooks_replaced": 0}


def test_events_before_the_start_are_told_after_it(tmp_path):
    hooks = Hooks(HookOptions(idle=shell(NOTES, tmp_path / "idle")))
    hooks.post(event("idle"))
    with hooks:
        wait_until(lambda: lines(tmp_path / "idle"))


def test_a_stop_kills_the_running_program_and_its_children(tmp_path, caplog):
    told = tmp_path / "pid"
    with Hooks(HookOptions(idle=shell(STAYS, told))) as hooks:
        hooks.post(event("idle"))
        wait_until(lambda: lines(told))
        pid = int(told.read_text())
        assert is_running(pid)
    wait_until(lambda: not is_running(pid))
    assert warnings(caplog) == []
    hooks.post(event("idle"))  # from a thread that stops later
    assert lines(told) == [str(pid)]


def test_a_hanging_program_blocks_nobody_and_the_last_state_wins(tmp_path):
    told, began = tmp_path / "told", tmp_path / "began"
    states = {"muted": shell(NOTES, told), "idle": shell(NOTES, told)}
    options = HookOptions(wake=shell(HANGS, began), timeout_s=1, **states)
    with Hooks(options) as hooks:
        hooks.post(event("wake"))
        wait_until(lambda: lines(began))
        for _ in range(100):
            hooks.post(event("idle"))
            hooks.post(event("muted"))
        wait_until(lambda: lines(told))
    assert lines(told) == ["muted"]
    assert hooks.counters() == {"hooks_failed": 1, "hooks_dropped": 0, "hooks_replaced": 199}


def test_failures_are_one_warning_that_names_event_program_and_status(caplog):
    clock = FakeClock()
    options = HookOptions(idle=program("raise SystemExit(3)", "token"))
    with Hooks(options, monotonic=clock.monotonic) as hooks:
        for count in (1, 2):
            hooks.post(event("idle"))
            wait_until(lambda count=count: hooks.failed == count)
        assert warnings(caplog) == [f"hooks.idle: {sys.executable}: exit status 3"]
        clock.now += 3600
        hooks.post(event("idle"))
        wait_until(lambda: len(warnings(caplog)) == 2)
    [record, _] = caplog.records
    assert (record.EVENT, record.HOOK) == ("HookFailed", "idle")
    assert "token" not in caplog.text


def test_a_hook_that_always_fails_is_few_lines_an_hour(caplog):
    clock = FakeClock()
    page = (DOCS / "journal.md").read_text()
    hooks = Hooks(HookOptions(), monotonic=clock.monotonic)
    with hooks:
        for _ in range(3600):
            hooks._fail("idle", "/bin/led", "exit status 1")
            clock.now += 1
    assert 6 <= len(warnings(caplog)) <= 12
    assert "a hook that fails all the time | at most 12 an hour for each hook" in page


def test_programs_that_are_missing_are_named_at_the_start_and_once(tmp_path, caplog):
    plain = tmp_path / "plain"
    plain.touch(mode=0o644)
    options = HookOptions(idle=("/none/led", "x"), wake=(str(plain),), muted=("true",))
    assert dict(missing_programs(options)) == {
        "idle": "/none/led is not a program that can be run",
        "wake": f"{plain} is not a program that can be run",
    }
    with Hooks(options) as hooks:
        hooks.post(event("idle"))
        wait_until(lambda: hooks.failed)
    assert len(warnings(caplog)) == 2


def test_there_is_no_thread_until_there_is_a_hook(tmp_path):
    def threads() -> list[str]:
        return [each.name for each in threading.enumerate() if "hooks" in each.name]

    with Hooks(HookOptions()) as hooks:
        hooks.post(event("idle"))
        assert threads() == []
        hooks.change(HookOptions(idle=shell(NOTES, tmp_path / "idle")))
        assert threads() == ["jarvis-ear-hooks"]
        wait_until(lambda: lines(tmp_path / "idle"))
    assert threads() == []


def test_a_reload_tells_new_receivers_the_state_and_old_ones_nothing(tmp_path):
    old, new = tmp_path / "old", tmp_path / "new"
    with Hooks(HookOptions(muted=shell(NOTES, old))) as hooks:
        hooks.post(event("muted"))
        wait_until(lambda: lines(old))
        hooks.change(HookOptions(muted=shell(NOTES, new)))
        wait_until(lambda: lines(new))
    assert (lines(old), lines(new)) == (["muted"], ["muted"])


def test_an_event_whose_hook_was_removed_meanwhile_is_not_told(tmp_path):
    began = tmp_path / "began"
    with a_light() as light:
        light.hangs = True
        first = HookOptions(
            wake=shell(HANGS, began), idle=shell(NOTES, began), url=light.url, timeout_s=1
        )
        with Hooks(first) as hooks:
            for name in ("wake", "idle", "muted"):
                hooks.post(event(name))
            wait_until(lambda: lines(began) and light.bodies)
            hooks.change(HookOptions())
            wait_until(lambda: hooks.failed == 2)
            wait_until(lambda: not hooks._programs and not hooks._posts)
    assert (lines(began), light.events) == (["began"], ["wake"])


@pytest.fixture
def light():
    with a_light() as made:
        yield made


def test_the_url_gets_every_event_as_json(light):
    with Hooks(HookOptions(url=f"{light.url}/api/webhook/ear")) as hooks:
        for count, name in enumerate(HOOKS, 1):
            hooks.post(event(name, state="idle"))
            light.wait(lambda count=count: len(light.bodies) == count)
    assert light.events == list(HOOKS)
    assert set(light.paths) == {"/api/webhook/ear"}
    assert {each["Content-Type"] for each in light.headers} == {"application/json"}
    assert light.bodies[0]["state"] == "idle"
    assert hooks.failed == 0


@pytest.mark.parametrize("status", [302, 404, 500])
def test_a_refusal_and_a_redirect_are_failures_without_the_path(light, caplog, status):
    light.status = status
    with Hooks(HookOptions(url=f"{light.url}/secret")) as hooks:
        hooks.post(event("idle"))
        wait_until(lambda: warnings(caplog))
    reason = f"it answered with status {status}, expected 200 to 299"
    assert warnings(caplog) == [f"hooks.url: {light.url}: {reason}"]
    assert light.paths == ["/secret"]


def test_the_body_of_an_answer_is_not_awaited(light):
    light.is_endless = True
    asyncio.run(post_body(light.url, event("idle").body(), LONG_S, TrustStore()))
    assert light.events == ["idle"]


def test_an_answer_that_does_not_come_is_a_failure_and_delays_no_program(light, tmp_path, caplog):
    light.hangs = True
    told = tmp_path / "told"
    with Hooks(HookOptions(url=light.url, idle=shell(NOTES, told), timeout_s=LONG_S)) as hooks:
        hooks.post(event("idle"))
        light.wait(lambda: light.bodies)
        wait_until(lambda: lines(told))
        hooks.change(HookOptions(url=light.url, timeout_s=0.1))
    assert warnings(caplog) == []  # the stop did not wait for it
    with pytest.raises(HookFailedError, match=r"did not answer within 0\.1 s"):
        asyncio.run(post_body(light.url, b"{}", 0.1, TrustStore()))


@pytest.mark.parametrize(
    ("url", "reason"),
    [("http://127.0.0.1:9", "connection refused"), ("http://light.invalid", "unknown host|looked")],
)
def test_a_url_that_cannot_be_reached_says_why(url, reason):
    with pytest.raises(HookFailedError, match=reason):
        asyncio.run(post_body(url, b"{}", LONG_S, TrustStore()))


def test_no_proxy_of_the_environment_is_used(light, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    asyncio.run(post_body(light.url, event("idle").body(), LONG_S, TrustStore()))
    assert light.events == ["idle"]


def test_a_certificate_is_verified(light, tmp_path):
    authority = Authority(tmp_path)
    with TlsFront(light.server_port, authority.vouch("light", "IP:127.0.0.1")) as front:
        url, body = f"https://127.0.0.1:{front.port}", event("idle").body()
        with pytest.raises(HookFailedError):
            asyncio.run(post_body(url, body, LONG_S, TrustStore()))
        assert light.bodies == []
        trusted = TrustStore(authority.certificate.cert)
        asyncio.run(post_body(url, body, LONG_S, trusted))
    assert light.events == ["idle"]
