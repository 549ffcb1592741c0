import re
import textwrap

import pytest

from jarvis_ear import errors
from jarvis_ear.errors import JarvisEarError


def tree(root: type[JarvisEarError], depth: int = 0) -> list[str]:
    lines = [f"{'    ' * depth}{root.__name__}"]
    for child in root.__subclasses__():
        if child.__module__ == errors.__name__:
            lines += tree(child, depth + 1)
    return lines


def test_the_docstring_is_the_tree():
    drawn = re.findall(r"^( *)\* ``(\w+)``", textwrap.dedent(errors.__doc__), re.MULTILINE)
    assert [indent + name for indent, name in drawn] == tree(JarvisEarError)


def test_exit_statuses():
    assert errors.ConfigError("what happened").exit_status == 78
    assert errors.InputError("what happened").exit_status == 66
    assert errors.MicrophoneUnavailable("what happened").exit_status == 69
    assert errors.ConnectFailed("what happened").exit_status == 69
    assert errors.Rejected("what happened").exit_status == 77
    assert errors.RemoteProtocolError("what happened").exit_status == 76
    assert JarvisEarError("what happened").exit_status == 1


@pytest.mark.parametrize(
    ("error", "kind", "text"),
    [
        (PermissionError(13, "denied", "/a\nb"), errors.NotPermitted, r"'/a\\nb' belongs to"),
        (PermissionError(13, "denied"), errors.NotPermitted, "the ledger belongs to another user"),
        (OSError(5, "broken"), errors.InputError, "the ledger cannot be used: .*broken"),
    ],
)
def test_an_error_of_a_file_is_one_of_a_verb(error, kind, text):
    with pytest.raises(kind, match=text), errors.file_errors("the ledger"):
        raise error
