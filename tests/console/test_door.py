import pytest

from jarvis_ear.console.server import (
    GUESSES,
    GUESSES_S,
    Refusal,
    RequestGuard,
    Visit,
    bearer_token,
    offered_token,
)


@pytest.fixture
def now():
    return [0.0]


@pytest.fixture
def door(now):
    return RequestGuard(4888, "the-token", lambda: now[0])


def visit(host="127.0.0.1:4888", origin=None, query="", token="the-token"):
    return Visit(host, origin, query, token)


@pytest.mark.parametrize("host", ["127.0.0.1:4888", "localhost:4888", "LOCALHOST:4888"])
def test_its_own_page_comes_in(door, host):
    door.check_page(visit(host))
    door.check_page(visit(host, origin=f"http://{host}"))
    door.check_token(visit(host))


@pytest.mark.parametrize(
    "bad",
    [
        visit(host="evil.example"),
        visit(host="evil.example:4888"),
        visit(host="127.0.0.1"),
        visit(host="127.0.0.1:80"),
        visit(host="192.0.2.1:4888"),
        visit(host=""),
        visit(origin="null"),
        visit(origin="http://evil.example"),
        visit(origin="https://127.0.0.1:4888"),
        visit(origin="http://localhost:4888"),
        visit(origin="http://127.0.0.1:4889"),
        visit(origin=""),
    ],
)
def test_other_names_and_pages_do_not(door, bad):
    with pytest.raises(Refusal, match="Forbidden") as refused:
        door.check_page(bad)
    assert refused.value.status == 403


def test_a_query_is_refused_whatever_it_says(door):
    with pytest.raises(Refusal) as refused:
        door.check_page(visit(query="token=the-token"))
    assert refused.value.status == 400


@pytest.mark.parametrize("token", ["", "wrong", "the-token ", "\udcff"])
def test_a_wrong_token_is_refused(door, token):
    with pytest.raises(Refusal) as refused:
        door.check_token(visit(token=token))
    assert refused.value.status == 401


def test_who_guesses_is_stopped_and_time_heals(door, now):
    for _ in range(GUESSES):
        with pytest.raises(Refusal, match="Unauthorized"):
            door.check_token(visit(token="guess"))
    with pytest.raises(Refusal) as refused:
        door.check_token(visit())
    assert refused.value.status == 429
    now[0] += GUESSES_S + 1
    door.check_token(visit())


def test_no_token_is_no_guess(door):
    for _ in range(GUESSES + 1):
        with pytest.raises(Refusal, match="Unauthorized"):
            door.check_token(visit(token=""))
    door.check_token(visit())


def test_where_a_token_may_stand():
    assert offered_token(["jarvis-console", "token.abc"]) == "abc"
    assert offered_token(["jarvis-console"]) == ""
    assert bearer_token("Bearer abc") == "abc"
    assert bearer_token("Basic abc") == ""
