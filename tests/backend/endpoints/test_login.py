"""The login table, row by row."""

import jwt
import pytest

from jarvis_backend.config import Limits

PATH = "/api/auth/login"
SECRET = "s" * 32
JSON = {"Content-Type": "application/json"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.fixture(scope="module")
def client(app_client):
    limits = Limits(guesses_per_min=1000)
    with app_client(password="geheim", jwt_secret=SECRET, limits=limits) as client:
        yield client


def test_the_password_gets_a_token_for_seven_days(client):
    answer = client.log_in("geheim")
    assert answer.status_code == 200
    assert answer.json().keys() == {"token", "expiresIn"}
    assert answer.json()["expiresIn"] == "7d"
    claims = jwt.decode(answer.json()["token"], SECRET, algorithms=["HS256"])
    assert claims == {"role": "operator", "iat": claims["iat"], "exp": claims["exp"]}
    assert claims["exp"] - claims["iat"] == 604_800


@pytest.mark.parametrize(
    "body", ['{"password":"wrong"}', "{}", '{"password":123}', '["x"]', '{"password":null}', "[]"]
)
def test_anything_but_the_password_is_an_invalid_password(client, body):
    answer = client.post(PATH, content=body, headers=JSON)
    assert (answer.status_code, answer.json()) == (401, {"error": "Invalid password"})


@pytest.mark.parametrize(
    ("body", "headers", "status", "text"),
    [
        ('{"password":', JSON, 400, "Bad Request"),
        ('"geheim"', JSON, 400, "Bad Request"),
        ("7", JSON, 400, "Bad Request"),
        ("null", JSON, 400, "Bad Request"),
        (b"\xff\xfe", JSON, 400, "Bad Request"),
        ("[" * 50_000, JSON, 400, "Bad Request"),
        ("", {}, 500, "Internal Server Error"),
        ("", JSON, 500, "Internal Server Error"),
        ("password=geheim", FORM, 500, "Internal Server Error"),
        ("[" + " " * 102_400 + "]", JSON, 413, "Payload Too Large"),
    ],
)
def test_an_invalid_login_gets_an_html_error(client, body, headers, status, text):
    answer = client.post(PATH, content=body, headers=headers)
    assert (answer.status_code, answer.text) == (status, text)
    assert answer.headers["content-type"].startswith("text/html")


def test_the_login_is_no_page(client):
    answer = client.get(PATH)
    assert (answer.status_code, answer.json()) == (401, {"error": "Authentication required"})


def test_six_wrong_logins_are_not_slowed_down(app_client):
    with app_client(password="geheim") as client:
        answers = [client.log_in("wrong") for _ in range(7)]
        assert [answer.status_code for answer in answers] == [401] * 6 + [429]
        assert answers[-1].headers["Retry-After"] == "1"
        assert client.log_in("geheim").status_code == 429
        assert client.elsewhere(client=("192.0.2.9", 1)).log_in("geheim").status_code == 200
