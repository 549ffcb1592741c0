"""Assets: the files of the page, by the names under which they are served.

The ear's console and the reference backend serve the same page. They differ in the content of
``kind.json``.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

PATH: Final = "/console"
"""Path of the page; its files are below."""

KIND: Final = "kind.json"
"""The only name below ``PATH`` that is not a file: it says which program serves the page."""

_FOLDER: Final = Path(__file__).parent / "static"

_TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}

INDEX: Final = "index.html"

_RULES: Final = (
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self'",
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
)

POLICY: Final = "; ".join(_RULES)
"""Content security policy: nothing inline, nothing from other origins, and no framing."""


@dataclass(frozen=True, slots=True)
class Asset:
    """A file of the page."""

    body: bytes
    media_type: str


def read_assets() -> Mapping[str, Asset]:
    """Read all assets, by name. The page itself is ``INDEX``."""
    return {
        file.name: Asset(file.read_bytes(), _TYPES[file.suffix])
        for file in sorted(_FOLDER.iterdir())
        if file.suffix in _TYPES
    }


def headers(*, microphone: bool) -> dict[str, str]:
    """Return the headers of every response; with ``microphone`` the page may use one."""
    return {
        "Content-Security-Policy": POLICY,
        "Permissions-Policy": f"microphone=({'self' if microphone else ''}), camera=()",
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Cache-Control": "no-store",
    }
