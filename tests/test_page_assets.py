import re
from pathlib import Path

import pytest

from jarvis_ear import page as assets
from jarvis_ear.page import INDEX, PATH, headers, read_assets

ASSETS = read_assets()
TEXTS = {name: asset.body.decode() for name, asset in ASSETS.items()}
SCRIPTS = [name for name in TEXTS if name.endswith(".js")]


def test_the_page_is_whole():
    named = re.findall(rf'(?:src|href)="{PATH}/([^"]+)"', TEXTS[INDEX])
    assert {"console.css", "console.js", "icon.svg"} <= set(named)
    imported = [name for script in SCRIPTS for name in re.findall(r'"\./([\w.]+)"', TEXTS[script])]
    worklets = re.findall(rf'addModule\("{PATH}/([\w.]+)"', TEXTS["talk.js"])
    assert worklets == ["recorder.js"]
    assert {*named, *imported, *worklets} | {INDEX} == set(ASSETS)
    folder = Path(assets.__file__).parent / "static"
    assert {file.name for file in folder.iterdir()} == set(ASSETS)


@pytest.mark.parametrize("name", ASSETS)
def test_nothing_comes_from_elsewhere_and_no_text_becomes_markup_or_code(name):
    text = TEXTS[name].replace("http://www.w3.org/2000/svg", "")
    assert not re.search(r"https?://|//[a-z]+\.[a-z]", text)
    assert not re.search(r"@import|url\(", text)
    forbidden = r"innerHTML|outerHTML|insertAdjacent|document\.write|\beval\b|new Function"
    assert name not in SCRIPTS or not re.search(forbidden, text)


def test_nothing_is_inline_and_every_id_that_a_script_needs_is_there_once():
    page = TEXTS[INDEX]
    assert not re.search(r"<style|\sstyle=|\son\w+=|javascript:", page)
    assert re.findall(r"<script[^>]*>([^<]*)</script>", page) == [""]
    ids = re.findall(r'\sid="([^"]+)"', TEXTS[INDEX])
    assert len(ids) == len(set(ids))
    asked = {one for name in SCRIPTS for one in re.findall(r'\$\("([\w-]+)"\)', TEXTS[name])}
    assert asked - set(ids) == set()


def test_the_policy_allows_this_server_only():
    policy = headers(microphone=False)["Content-Security-Policy"]
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    assert rules["default-src"] == rules["frame-ancestors"] == "'none'"
    assert rules["script-src"] == rules["connect-src"] == "'self'"
    assert "unsafe" not in policy
    assert "microphone=()" in headers(microphone=False)["Permissions-Policy"]
    assert "microphone=(self)" in headers(microphone=True)["Permissions-Policy"]
