import pytest

from jarvis_ear.console.server import FAILURES_S, MAX_FAILURES, Refusal, RequestGuard, request_token

HOST = "127.0.0.1:4888"


@pytest.fixture
def now():
    return [0.0]


@pytest.fixture
def guard(now):
    return RequestGuard(4888, "the-token", lambda: now[0])


@pytest.mark.parametrize("host", [HOST, "localhost:4888", "LOCALHOST:4888"])
def test_its_own_page_is_accepted(guard, host):
    guard.check_page(host, None, "")
    guard.check_page(host, f"http://{host}", "")
    guard.check_token("the-token")


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("evil.example", None),
        ("evil.example:4888", None),
        ("127.0.0.1", None),
        ("127.0.0.1:80", None),
        ("192.0.2.1:4888", None),
        ("", None),
        (HOST, "null"),
        (HOST, "http://evil.example"),
        (HOST, "https://127.0.0.1:4888"),
        (HOST, "http://localhost:4888"),
        (HOST, "http://127.0.0.1:4889"),
        (HOST, ""),
    ],
)
def test_other_names_and_pages_are_refused(guard, host, origin):
    with pytest.raises(Refusal, match="Forbidden") as refused:
        guard.check_page(host, origin, "")
    assert refused.value.status == 403


def test_every_query_is_refused(guard):
    with pytest.raises(Refusal) as refused:
        guard.check_page(HOST, None, "token=the-token")
    assert refused.value.status == 400


@pytest.mark.parametrize("token", ["", "wrong", "the-token ", "\udcff"])
def test_a_wrong_token_is_refused(guard, token):
    with pytest.raises(Refusal) as refused:
        guard.check_token(token)
    assert refused.value.status == 401


def test_after_many_wrong_tokens_all_are_refused_for_a_while(guard, now):
    for _ in range(MAX_FAILURES):
        with pytest.raises(Refusal, match="Unauthorized"):
            guard.check_token("guess")
    with pytest.raises(Refusal) as refused:
        guard.check_token("the-token")
    assert refused.value.status == 429
    now[0] += FAILURES_S + 1
    guard.check_token("the-token")


def test_a_missing_token_is_not_counted_as_wrong(guard):
    for _ in range(MAX_FAILURES + 1):
        with pytest.raises(Refusal, match="Unauthorized"):
            guard.check_token("")
    guard.check_token("the-token")


@pytest.mark.parametrize(
    ("headers", "token"),
    [
        ({"Sec-WebSocket-Protocol": "jarvis-console, token.abc"}, "abc"),
        ({"Sec-WebSocket-Protocol": "jarvis-console"}, ""),
        ({"Authorization": "Bearer abc"}, "abc"),
        ({"Authorization": "Basic abc"}, ""),
    ],
)
def test_where_a_token_may_be(headers, token):
    assert request_token(headers) == token
