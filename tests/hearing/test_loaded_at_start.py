"""No module is loaded when sound comes: an ear without a free descriptor would end."""

import sys
from pathlib import Path

from fakes.program import run

RECORDING = Path(__file__).parents[1] / "data" / "hey-jarvis-what-time-is-it.wav"

PROGRAM = """
import sys
from pathlib import Path

from jarvis_ear import __main__, config
from jarvis_ear.audio.frames import Block, Framer
from jarvis_ear.audio.level import frame_levels, level
from jarvis_ear.audio.wav import pcm_to_wav
from jarvis_ear.devices.speaker import Speaker
from jarvis_ear.devices.sources import WavFile
from jarvis_ear.devices.models import EarFactory
from jarvis_ear.hearing.events import SendUtterance

hearing = config.HearingOptions(
    heard=config.HeardOptions(high_pass_hz=100, gain_db=3),
    sent=config.SentOptions(high_pass_hz=100, gain_db=3),
)
ears = EarFactory()
ears.load(hearing)
ear, framer, source = ears.make(hearing), Framer(), WavFile(Path(sys.argv[1]), fast=True)
ear.prove_model()
speaker = Speaker(
    config.SpeakerOptions(device="none"), on_started=lambda _turn: None, on_ended=lambda _turn: None
)
before = set(sys.modules)
source.open()
said = []
try:
    while True:
        block = source.read()
        for frame in framer.push(block) if block else ():
            said += [each for each in ear.hear(frame) if isinstance(each, SendUtterance)]
            level(frame.pcm), frame_levels(frame.pcm)
except __main__.JarvisEarError:
    raise
except Exception as end:
    assert type(end).__name__ == "EndOfSound", end
assert said, "no utterance"
wav = pcm_to_wav(said[0].utterance.pcm, 22_050)
speaker.play("ab", 0, "audio/wav", wav)
while speaker._step():
    pass
late = set(sys.modules) - before
print(sorted(name for name in late if getattr(sys.modules[name], "__file__", None)))
"""


def test_no_module_is_loaded_during_a_turn():
    done = run([sys.executable, "-c", PROGRAM, str(RECORDING)], check=False, timeout=60)
    assert (done.returncode, done.stdout) == (0, "[]\n"), done.stderr
