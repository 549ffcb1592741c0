"""Use an ear as a satellite, as Home Assistant does, and say each command back to its person."""

import argparse
import asyncio
import contextlib

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


async def reach(ear: AsyncClient) -> None:
    """Connect to an ear that may only be starting: try for 15 s."""
    for attempts_left in reversed(range(30)):
        try:
            await ear.connect()
            break
        except OSError as error:
            if not attempts_left:
                raise SystemExit(f"no ear answers at {args.uri}: {error}") from None
        await asyncio.sleep(0.5)


async def main(turns: int) -> None:
    try:
        ear = AsyncClient.from_uri(args.uri)
    except ValueError as error:
        raise SystemExit(f"--uri {args.uri}: {error}") from None
    await reach(ear)
    try:
        for hello in (RunSatellite(), Describe()):
            await ear.write_event(hello.event())
        while event := await ear.read_event():
            if event.type not in ("audio-chunk", "ping", "pong"):
                print(event.type, event.data.get("satellite") or "")
            for answer in answers(event):
                await ear.write_event(answer)
            if event.type == "played" and (turns := turns - 1) == 0:
                return
        raise SystemExit("the ear has closed the connection: it ended, or another server uses it")
    except ConnectionError as error:
        raise SystemExit(f"the ear is gone: {error}") from None
    finally:
        with contextlib.suppress(ConnectionError):
            await ear.disconnect()


with contextlib.suppress(KeyboardInterrupt):
    asyncio.run(main(args.turns))
