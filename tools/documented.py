"""Read the docstrings of the members of an enum, which Python does not keep at run time."""

import ast
import inspect
import textwrap
from collections.abc import Mapping
from enum import Enum
from itertools import pairwise


def documented(members: type[Enum]) -> Mapping[str, str]:
    """Return the docstring of each member of an enum, by the member's name."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(members)))
    body = next(node.body for node in tree.body if isinstance(node, ast.ClassDef))
    found: dict[str, str] = {}
    for member, text in pairwise(body):
        match member, text:
            case ast.Assign(targets=[ast.Name(name)]), ast.Expr(ast.Constant(str(words))):
                found[name] = " ".join(words.split())
    return found
