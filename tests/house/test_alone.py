"""The ear needs no backend, no PortAudio, no systemd, and nothing that openwakeword asks for."""

import json
import subprocess
import sys
from pathlib import Path

from fakes.program import run
from jarvis_ear.audio.wav import pcm_to_wav

BARE_MACHINE = """
import ctypes.util, importlib.abc, json, sys

ABSENT = {"jarvis_backend", "fastapi", "uvicorn", "systemd", "scipy", "sklearn", "tqdm"}

class Absent(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ABSENT:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Absent())
find_library = ctypes.util.find_library
HIDDEN = {"portaudio", "systemd"}
ctypes.util.find_library = lambda name: None if name in HIDDEN else find_library(name)
"""

IMPORT_EVERYTHING = """
import importlib, pkgutil, jarvis_ear
for module in pkgutil.walk_packages(jarvis_ear.__path__, "jarvis_ear."):
    importlib.import_module(module.name)
print(json.dumps(sorted({name.partition(".")[0] for name in sys.modules})))
"""

RUN = """
import runpy
runpy.run_module("jarvis_ear", run_name="__main__", alter_sys=True)
"""


def on_a_bare_machine(script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return run([sys.executable, "-c", BARE_MACHINE + script, *arguments], check=False, timeout=30)


def test_every_module_imports():
    result = on_a_bare_machine(IMPORT_EVERYTHING)
    assert result.returncode == 0, result.stderr
    loaded = set(json.loads(result.stdout))
    assert "numpy" in loaded
    assert loaded & {"openwakeword", "sounddevice", "jarvis_backend"} == set()
    assert "PortAudio library not found" in on_a_bare_machine("import sounddevice").stderr


def test_a_file_is_heard_to_its_end(tmp_path: Path):
    quiet = tmp_path / "quiet.wav"
    quiet.write_bytes(pcm_to_wav(bytes(2 * 2 * 16_000)))
    nowhere = "http://127.0.0.1:9"  # the discard port: nothing listens there
    words = ("run", "--input", str(quiet), "--fast", "--backend-url", nowhere)
    result = on_a_bare_machine(RUN, *words)
    assert result.returncode == 0, result.stderr
    assert "Traceback" not in result.stderr
