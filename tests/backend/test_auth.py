"""Passwords and tokens."""

import jwt
import pytest

from jarvis_backend.auth import TOKEN_SECONDS, Auth, LoginRefused, Password

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


def test_a_token_says_operator_for_seven_days_and_nothing_else():
    claims = jwt.decode(auth().issue(), SECRET, algorithms=["HS256"], options={"verify_exp": False})
    assert claims == {"role": "operator", "iat": int(NOW), "exp": int(NOW) + 604_800}


def test_our_token_is_good_until_the_second_it_expires():
    token = auth().issue()
    auth(NOW + TOKEN_SECONDS - 1).check_token(token)
    with pytest.raises(LoginRefused, match=r"^Invalid or expired token$"):
        auth(NOW + TOKEN_SECONDS).check_token(token)


@pytest.mark.parametrize("token", [None, "", 5, {}, ["x"]])
def test_without_a_token_one_is_asked_for(token):
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


def test_a_token_of_the_same_secret_is_ours():
    auth().check_token(signed())


def test_without_a_configured_secret_every_start_has_its_own():
    token = auth(secret=None).issue()
    with pytest.raises(LoginRefused):
        auth(secret=None).check_token(token)
