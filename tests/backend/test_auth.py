"""Passwords, their hashes, tokens, and the waits that wrong passwords cost."""

import asyncio
import io

import jwt
import pytest

from fakes.clock import FakeClock
from jarvis_backend import auth as module
from jarvis_backend import cli
from jarvis_backend.auth import (
    MAX_WAIT_S,
    RESET_S,
    TOKEN_SECONDS,
    WINDOW_S,
    Auth,
    LoginLimiter,
    LoginRefused,
    NotAHash,
    Password,
    hash_of,
)
from jarvis_backend.config import load
from jarvis_backend.errors import BackendConfigError
from jarvis_backend.message_queue import MessageQueue

SECRET = "s" * 32
NOW = 1_700_000_000.0


def auth(now=NOW, secret=SECRET):
    return Auth(Password("geheim"), secret, lambda: now)


def signed(secret=SECRET, algorithm="HS256", **claims):
    whole = {"role": "operator", "iat": int(NOW), "exp": int(NOW) + 60} | claims
    kept = {name: value for name, value in whole.items() if value is not None}
    return jwt.encode(kept, secret, algorithm=algorithm)


def test_only_the_password_is_the_password():
    assert auth().check_password("geheim")
    for wrong in ("", "geheim ", "Geheim", "gehei", "ü", "\ud800", None, 5, ["geheim"], b"geheim"):
        assert not auth().check_password(wrong)


def test_a_token_of_our_secret_is_good_until_the_second_it_expires():
    auth().check_token(signed())
    token = auth().issue()
    auth(NOW + TOKEN_SECONDS - 1).check_token(token)
    with pytest.raises(LoginRefused, match=r"^Invalid or expired token$"):
        auth(NOW + TOKEN_SECONDS).check_token(token)


@pytest.mark.parametrize("token", [None, "", 5, {}, ["x"]])
def test_a_missing_token_is_required(token):
    with pytest.raises(LoginRefused, match=r"^Authentication required$"):
        auth().check_token(token)


@pytest.mark.parametrize(
    "token",
    [
        "x",
        "Bearer " + signed(),
        signed(secret="t" * 32),
        signed(role="guest"),
        signed(role=None),
        signed(exp=None),
        signed(exp=int(NOW)),
        signed(secret=None, algorithm="none"),
        signed()[:-2],
    ],
)
def test_a_token_that_is_not_ours_is_refused(token):
    with pytest.raises(LoginRefused, match=r"^Invalid or expired token$"):
        auth().check_token(token)


def test_without_a_configured_secret_every_start_has_its_own():
    token = auth(secret=None).issue()
    with pytest.raises(LoginRefused):
        auth(secret=None).check_token(token)


@pytest.mark.parametrize(
    "peer", ["127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1", "testclient"]
)
def test_a_peer_of_this_machine_needs_no_token(peer):
    assert auth().authorize(peer, None) is None


@pytest.mark.parametrize(
    "peer", ["::ffff:192.0.2.1", "192.0.2.1", "localhost.evil.example", "", None]
)
def test_any_other_peer_needs_a_token(peer):
    with pytest.raises(LoginRefused):
        auth().authorize(peer, None)


# Hashes


def test_a_hash_recognises_its_password_and_no_other():
    hashed = hash_of("geheim")
    assert "geheim" not in hashed
    assert hashed != hash_of("geheim")
    password = Password("jarvis", hashed)
    assert password.matches("geheim")
    assert not password.matches("jarvis")
    assert not password.matches("\ud800")


@pytest.mark.parametrize("text", ["x", "scrypt$a$b", "md5$AAAA$AAAA", "scrypt$AAAA$AAAA", "$$"])
def test_other_texts_are_no_hash(text, monkeypatch):
    with pytest.raises(NotAHash):
        Password("", text)
    monkeypatch.setenv("JARVIS_BACKEND_PASSWORD_HASH", text)
    with pytest.raises(BackendConfigError, match=r"PASSWORD_HASH: .* expected the output of"):
        load([])


@pytest.fixture
def hash_password(monkeypatch, capsys):
    """Run the program with ``--hash-password``: its status, its output and its errors."""

    def work(typed):
        monkeypatch.setattr("sys.stdin", io.StringIO(typed))
        return cli.main(["--hash-password"]), *capsys.readouterr()

    return work


def test_a_hash_that_the_program_makes_replaces_the_password(hash_password, start_client):
    status, hashed, _ = hash_password("geheim\n")
    assert status == 0
    client = start_client(password_hash=hashed.strip())
    assert [client.log_in(word).status_code for word in ("geheim", "jarvis")] == [200, 401]


@pytest.mark.parametrize("typed", ["", "\n", "\r\n"])
def test_an_empty_password_has_no_hash(hash_password, typed):
    assert hash_password(typed) == (
        78,
        "",
        "jarvis-backend: --hash-password: standard input is empty, expected a password on a line\n",
    )


@pytest.mark.parametrize(("password", "is_warned"), [("1234567", True), ("12345678", False)])
def test_a_short_password_is_warned_about(hash_password, password, is_warned):
    status, _, errors = hash_password(password + "\n")
    assert status == 0
    assert ("under 8 characters" in errors) is is_warned


# The waits


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def limit(clock):
    """Make a limiter of so many guesses a minute."""
    return lambda guesses: LoginLimiter(guesses, MessageQueue(), clock.monotonic)


async def wait_s(limiter, address):
    async with limiter.attempt(address) as wait:
        return wait


async def test_guesses_are_forgotten_after_a_minute_or_for_other_addresses(
    limit, clock, monkeypatch
):
    monkeypatch.setattr(module, "ADDRESSES", 2)
    limiter = limit(1)
    await limiter.failed("a")
    assert await wait_s(limiter, "a") == WINDOW_S
    assert await wait_s(limiter, "b") == 0
    assert await wait_s(limiter, "c") == 0  # and "a" had to make room
    assert await wait_s(limiter, "a") == 0
    await limiter.failed("a")
    clock.now += WINDOW_S
    assert await wait_s(limiter, "a") == 0


async def guessed(limiter, clock, for_s):
    """Guess as often as one may for so long; return the waits that it cost, 0 for none."""
    waits, ends = [], clock.now + for_s
    while (wait := await wait_s(limiter, "192.0.2.1")) + clock.now < ends:
        clock.now += wait
        await limiter.failed("192.0.2.1")
        waits.append(wait)
    clock.now = ends
    return waits


async def test_ten_guesses_a_minute_with_growing_waits_and_then_one_a_minute(limit, clock):
    limiter = limit(10)
    assert await guessed(limiter, clock, 59) == [0, 0, 0, 0, 0, 0, 1, 2, 4, 8]
    assert len(await guessed(limiter, clock, 600)) <= 600 / MAX_WAIT_S + 2


@pytest.mark.parametrize(
    ("address", "same", "other"),
    [
        ("192.0.2.1", ["192.0.2.1", "::ffff:192.0.2.1"], "192.0.2.2"),
        ("2001:db8::1", ["2001:db8::ffff:2"], "2001:db8:0:1::1"),
    ],
)
async def test_only_guesses_of_the_same_network_wait(limit, address, same, other):
    limiter = limit(1)
    await limiter.failed(address)
    for each in same:
        assert await wait_s(limiter, each) > 0
    assert await wait_s(limiter, other) == 0


async def test_the_waits_begin_anew_after_a_right_password_and_after_a_while(limit, clock):
    def forget():
        clock.now += RESET_S

    limiter = limit(10)
    for begin_anew in (lambda: limiter.succeeded("192.0.2.1"), forget):
        assert len(await guessed(limiter, clock, 60)) > 8
        clock.now += WINDOW_S
        begin_anew()
        assert (await guessed(limiter, clock, 10))[:6] == [0] * 6
        forget()


async def test_simultaneous_guesses_are_checked_one_by_one(limit):
    limiter = limit(3)
    checked = []

    async def guess():
        async with limiter.attempt("a") as wait:
            if wait == 0:
                checked.append(wait)
                await asyncio.sleep(0)  # the password is compared on another thread
                await limiter.failed("a")

    await asyncio.gather(*(guess() for _ in range(50)))
    assert len(checked) == 2  # the third one has to wait a second
