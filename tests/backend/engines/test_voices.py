"""Speech by programs, by the library of espeak-ng, and by a piper that the test wrote."""

import asyncio
import os
import shutil
import sys
from contextlib import aclosing
from types import SimpleNamespace

import pytest

from jarvis_backend.config import TextToSpeechOptions
from jarvis_backend.engines.program import ESPEAK_NG, FLITE, Program, ProgramVoice
from jarvis_backend.engines.voices import EspeakLibraryVoice, PiperVoice
from jarvis_backend.errors import EngineError, EngineMissing
from jarvis_ear.audio.wav import decode_wav

SENTENCE = "It is 3:07 PM."


def program(which):
    if shutil.which(which.name) is None:
        pytest.skip(f"{which.name} is not installed")
    return ProgramVoice(which, TextToSpeechOptions())


@pytest.fixture(params=["flite", "espeak-ng", "espeak-library"])
def make(request):
    return {
        "flite": lambda: program(FLITE),
        "espeak-ng": lambda: program(ESPEAK_NG),
        "espeak-library": lambda: EspeakLibraryVoice(TextToSpeechOptions()),
    }[request.param]


async def speak(make, *texts):
    async with aclosing(make()) as voice:
        return await asyncio.gather(*(voice.speak(text) for text in texts))


def lasts(speech):
    return decode_wav(speech.audio, max_seconds=60).seconds


@pytest.mark.usefixtures("leaves_no_thread")
async def test_a_sentence_becomes_a_wav_that_lasts_as_long_as_saying_it(make):
    (speech,) = await speak(make, SENTENCE)
    assert speech.content_type == "audio/wav"
    sound = decode_wav(speech.audio, max_seconds=60)
    assert 1 < sound.seconds < 4
    assert abs(sound.mono()).max() > 2000


async def test_two_sentences_at_once_do_not_mix(make):
    texts = (SENTENCE, "Good night.")
    together = [lasts(speech) for speech in await speak(make, *texts)]
    alone = [lasts(*await speak(make, text)) for text in texts]
    assert together == pytest.approx(alone, rel=0.1)  # the library never says a thing twice alike


@pytest.mark.parametrize(
    "text", ["-o /nowhere/x $(false) `false` ; false", "<speak>one</speak>", "été", "'\"\\"]
)
async def test_no_text_is_a_command(make, text):
    (speech,) = await speak(make, text)
    assert lasts(speech) > 0.1


async def test_an_unknown_voice_is_an_error():
    with pytest.raises(EngineError, match="no voice 'nobody'"):
        await speak(lambda: EspeakLibraryVoice(TextToSpeechOptions(voice="nobody")), SENTENCE)


# Programs that misbehave


@pytest.fixture
def script(tmp_path, monkeypatch):
    """Put a shell script on the search path, as a voice."""

    def make(body):
        path = tmp_path / "talker"
        path.write_text(f"#!/bin/sh\n{body}\n")
        path.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
        talker = Program("talker", "", lambda _voice, text, wav: (str(text), str(wav)))
        return lambda timeout_s=10: ProgramVoice(
            talker, TextToSpeechOptions.model_construct(voice="", timeout_s=timeout_s)
        )

    return make


async def test_the_text_goes_through_a_file(script):
    (speech,) = await speak(script('cp "$1" "$2"'), "Hello $HOME")
    assert speech.audio == b"Hello $HOME\n"


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        ("echo 'no   such\nthing' >&2; exit 3", "^talker ended with status 3: no such thing$"),
        ("true", "^talker wrote no sound$"),
        (': > "$2"', "^talker wrote 0 bytes"),
        ('head -c 20000000 /dev/zero > "$2"', "^talker wrote 20000000 bytes, expected 1 to"),
        ("yes complaint | head -c 1000000 >&2; exit 1", "^talker ended with status 1: complaint"),
    ],
)
async def test_a_failure_of_a_program_is_an_error(script, body, complaint):
    with pytest.raises(EngineError, match=complaint) as failed:
        await speak(script(body), "x")
    assert len(str(failed.value)) < 300


async def test_a_program_that_hangs_is_killed(script):
    hanging = script("exec sleep 100")
    with pytest.raises(EngineError, match=r"^talker took more than 0\.2 s$"):
        await speak(lambda: hanging(0.2), "x")


# Piper


class Piper:
    """Writes ten samples."""

    @classmethod
    def load(cls, path):
        if path.endswith("broken.onnx"):
            raise RuntimeError("no voice")
        return cls()

    def synthesize_wav(self, _sentence, wav):
        wav.setnchannels(1)
        wav.setsampwidth(2)
        wav.setframerate(22_050)
        wav.writeframes(bytes(20))


@pytest.fixture
def piper(monkeypatch, tmp_path):
    """Make a voice of one of two model files."""
    monkeypatch.setitem(sys.modules, "piper", SimpleNamespace(PiperVoice=Piper))
    for name in ("voice.onnx", "broken.onnx"):
        (tmp_path / name).touch()
        (tmp_path / f"{name}.json").touch()
    return lambda name: PiperVoice(TextToSpeechOptions(model=str(tmp_path / name)), tmp_path)


async def test_piper_makes_a_wav(piper):
    (speech,) = await speak(lambda: piper("voice.onnx"), "x")
    assert speech.content_type == "audio/wav"
    sound = decode_wav(speech.audio, max_seconds=1)
    assert (sound.rate, len(sound.pcm)) == (22_050, 10)


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("nowhere.onnx", "^the model /.*nowhere.onnx is not here"),
        ("broken.onnx", r"^piper cannot load /.*broken\.onnx: no voice$"),
    ],
)
async def test_piper_needs_a_good_voice_file(piper, name, complaint):
    with pytest.raises(EngineMissing, match=complaint):
        await speak(lambda: piper(name), "x")
