"""Use an ear as a satellite, as Home Assistant does, and say each command back to its person."""

import argparse
import asyncio

from wyoming.asr import Transcribe, Transcript
from wyoming.audio import AudioStart, AudioStop
from wyoming.client import AsyncClient
from wyoming.event import Event
from wyoming.info import Describe
from wyoming.ping import Pong
from wyoming.satellite import RunSatellite

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--uri", default="tcp://127.0.0.1:10700", help="address of the ear")
parser.add_argument("--turns", type=int, default=0, help="end after so many; 0: with Ctrl-C")
args = parser.parse_args()
sound: list[Event] = []


def answers(event: Event) -> list[Event]:
    match event.type:
        case "ping":
            return [Pong(event.data.get("text")).event()]
        case "run-pipeline":
            sound.clear()
            return [Transcribe(language="en").event()]
        case "audio-chunk":
            sound.append(event)
        case "audio-stop":
            begin, end = AudioStart(16_000, 2, 1).event(), AudioStop().event()
            return [Transcript("something").event(), begin, *sound, end]
    return []


async def main(turns: int) -> None:
    async with AsyncClient.from_uri(args.uri) as ear:
        for hello in (RunSatellite(), Describe()):
            await ear.write_event(hello.event())
        while event := await ear.read_event():
            if event.type not in ("audio-chunk", "ping", "pong"):
                print(event.type, event.data.get("satellite") or "")
            for answer in answers(event):
                await ear.write_event(answer)
            if event.type == "played" and (turns := turns - 1) == 0:
                return


asyncio.run(main(args.turns))
