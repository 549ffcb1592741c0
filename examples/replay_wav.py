"""Print the changes of the ear's state while it hears a WAV file, with their time in seconds."""

import argparse
from pathlib import Path

from jarvis_ear.audio.frames import Frame
from jarvis_ear.audio.resample import resample
from jarvis_ear.audio.wav import decode_wav
from jarvis_ear.config import HearingOptions
from jarvis_ear.devices.models import Silero, WebRtcVad
from jarvis_ear.devices.openwakeword import OpenWakeWord
from jarvis_ear.hearing.ear import Ear
from jarvis_ear.hearing.events import Failed, SendUtterance, StateChanged
from jarvis_ear.hearing.turns import TurnMachine
from jarvis_ear.units import FRAME_BYTES, FRAME_SAMPLES, SAMPLE_RATE, Samples

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("wav", type=Path, help="a WAV file of at most ten minutes")
args = parser.parse_args()

hearing = HearingOptions()
vad, wake, speech = WebRtcVad(hearing.gate.aggressiveness), OpenWakeWord(), Silero()
machine = TurnMachine(hearing, iter("abcdefghijklmnopqrstuvwxyz").__next__)
ear = Ear(hearing, gate=vad, wake=wake, speech=speech, machine=machine)

sound = decode_wav(args.wav.read_bytes(), max_seconds=600)
pcm = resample(sound.mono(), sound.rate, SAMPLE_RATE).tobytes() + bytes(2 * 2 * SAMPLE_RATE)
for number in range(len(pcm) // FRAME_BYTES):
    data = pcm[number * FRAME_BYTES : (number + 1) * FRAME_BYTES]
    for effect in ear.hear(Frame(Samples(number * FRAME_SAMPLES), data)):
        if isinstance(effect, StateChanged):
            at = effect.at / SAMPLE_RATE
            print(f"{at:6.2f} s  {effect.old} -> {effect.new}  {effect.why}")
        if isinstance(effect, SendUtterance):
            seconds = len(effect.utterance.pcm) / 2 / SAMPLE_RATE
            print(f"          {seconds:.2f} s of sound would be sent")
            ear.tell(Failed(effect.turn_id, "nobody is there"))
