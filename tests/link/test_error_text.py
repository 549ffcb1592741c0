import errno
import socket

import pytest

from jarvis_ear.link.tls_and_tcp import error_text


def raised(make):
    with pytest.raises(Exception) as caught:  # noqa: PT011 - any
        make()
    return caught.value


def wrapped():
    try:
        raise ConnectionRefusedError(errno.ECONNREFUSED, "http://user:secret@host refused")
    except OSError as error:
        raise ValueError("http://user:secret@host") from error


def test_the_systems_own_words():
    assert error_text(ConnectionRefusedError(errno.ECONNREFUSED, "secret")) == "connection refused"


def test_the_reason_under_the_reason():
    assert error_text(raised(wrapped)) == "connection refused"


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (socket.EAI_NONAME, "unknown host"),
        (socket.EAI_NODATA, "unknown host"),
        (socket.EAI_AGAIN, "its name cannot be looked up at present"),
        (socket.EAI_FAIL, "its name cannot be looked up"),
    ],
)
def test_a_name_without_an_address(number, words):
    assert error_text(socket.gaierror(number, "secret")) == words
    wrapped = ValueError("secret")
    wrapped.__cause__ = socket.gaierror(number, "secret")
    assert error_text(wrapped) == words


@pytest.mark.parametrize(
    ("error", "words"), [(ValueError("secret"), "ValueError"), (OSError("secret"), "OSError")]
)
def test_without_one_only_the_kind(error, words):
    assert error_text(error) == words
