import re
import textwrap

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
