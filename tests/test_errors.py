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


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (errors.ConfigError, 78),
        (errors.InputError, 66),
        (errors.MicrophoneUnavailable, 69),
        (errors.ConnectFailed, 69),
        (errors.Rejected, 77),
        (errors.RemoteProtocolError, 76),
        (JarvisEarError, 1),
    ],
)
def test_exit_statuses(error, status):
    assert error("what happened").exit_status == status
