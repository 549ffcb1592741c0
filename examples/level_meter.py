"""Print the level of a WAV file ten times per second: RMS and peak, in dB below full scale."""

import argparse
from pathlib import Path

from jarvis_ear.audio.level import level
from jarvis_ear.audio.wav import decode_wav

MAX_S = 600

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("wav", type=Path, help="a WAV file of at most ten minutes")
args = parser.parse_args()

sound = decode_wav(args.wav.read_bytes(), max_seconds=MAX_S)
step = sound.rate // 10
pcm = sound.mono()
for place in range(0, len(pcm), step):
    now = level(pcm[place : place + step].tobytes())
    bar = "#" * max(0, round(now.rms + 60))
    print(f"{place / sound.rate:6.1f} s {now.rms:7.1f} {now.peak:7.1f} dB  {bar}")
