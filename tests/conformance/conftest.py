"""A server whose engines answer by how loud a sound is, and one with its real engines."""

import numpy as np
import pytest

from fakes.engines import ScriptedBrain, ScriptedEar, ScriptedVoice, scripted
from fakes.recordings import recording
from fakes.voice_server import wait_until
from fakes.wire_clients import Refused
from jarvis_backend.config import BackendConfig, Limits
from jarvis_backend.engines.engine import Speech
from jarvis_backend.server import Server
from jarvis_ear.audio.wav import pcm_to_wav

LIMITS = Limits(message_bytes=64 * 1024, connections=3)
LOUD_S = 10


class Judge(ScriptedEar):
    """Understands "loud" or "soft"."""

    async def transcribe(self, pcm):
        self.heard.append(pcm)
        return "loud" if np.abs(pcm.astype(int)).max() > 5000 else "soft"


class Parrot(ScriptedBrain):
    async def answer(self, question):
        yield question.text


class Scale(ScriptedVoice):
    """Speaks long for "loud" and short for "soft", so that the two can be told apart."""

    async def speak(self, sentence):
        value, seconds = (3000, LOUD_S) if sentence == "loud" else (7, 0.2)
        samples = np.full(int(seconds * 16_000), value, "<i2")
        return Speech("audio/wav", pcm_to_wav(samples.tobytes()))


class Bench:
    """What a case needs: where the server is, what it heard, and two things to say."""

    def __init__(self, url, ear, speech):
        self.url = url
        self.ear = ear
        factor = 20_000 / np.abs(speech.astype(int)).max()
        self.loud = (speech * factor).astype("<i2").tobytes()
        self.soft = (speech * factor / 8).astype("<i2").tobytes()

    def join(self, client):
        """Open a client, as soon as the server has noticed that others have left."""
        opened = client(self.url)
        wait_until(lambda: self._has_opened(opened))
        return opened

    @staticmethod
    def _has_opened(client):
        try:
            client.open()
        except Refused:
            return False
        return True


@pytest.fixture(scope="session")
def speech():
    return recording("what-time-is-it")


@pytest.fixture(scope="session")
def bench(speech):
    ear = Judge()
    engines = scripted(stt=ear, brain=Parrot(), tts=Scale())
    with Server(BackendConfig(port=0, limits=LIMITS), engines) as server:
        yield Bench(server.url, ear, speech)
