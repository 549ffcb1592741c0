"""The login table, row by row."""

import jwt
import pytest
from starlette.testclient import TestClient

from fakes.engines import scripted
from jarvis_backend.app import create_app
from jarvis_backend.config import BackendConfig, Limits

PATH = "/api/auth/login"
SECRET = "s" * 32
JSON = {"Content-Type": "application/json"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.fixture(scope="module")
def client():
    limits = Limits(guesses_per_min=1000)
    config = BackendConfig(password="geheim", jwt_secret=SECRET, limits=limits)
    with TestClient(create_app(config, scripted())) as client:
        yield client


def test_the_password_gets_a_token_for_seven_days(client):
    answer = client.post(PATH, json={"password": "geheim"})
    assert answer.status_code == 200
    assert answer.json().keys() == {"token", "expiresIn"}
    assert answer.json()["expiresIn"] == "7d"
    claims = jwt.decode(answer.json()["token"], SECRET, algorithms=["HS256"])
    assert claims["role"] == "operator"
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
def test_what_is_no_login_gets_an_html_error(client, body, headers, status, text):
    answer = client.post(PATH, content=body, headers=headers)
    assert (answer.status_code, answer.text) == (status, text)
    assert answer.headers["content-type"].startswith("text/html")


def test_it_is_no_page(client):
    answer = client.get(PATH)
    assert (answer.status_code, answer.json()) == (401, {"error": "Authentication required"})


def test_of_wrong_logins_a_few_are_not_slowed_down():
    app = create_app(BackendConfig(password="geheim"), scripted())
    with TestClient(app) as client:
        answers = [client.post(PATH, json={"password": "wrong"}) for _ in range(7)]
        assert [answer.status_code for answer in answers] == [401] * 6 + [429]
        assert answers[-1].headers["Retry-After"] == "1"
        assert client.post(PATH, json={"password": "geheim"}).status_code == 429
    with TestClient(app, client=("192.0.2.9", 1)) as elsewhere:
        assert elsewhere.post(PATH, json={"password": "geheim"}).status_code == 200
