"""A fake Home Assistant, made after its order of events: it connects to the ear by itself."""

import os
import signal
import socket
import threading
import time
from pathlib import Path
from typing import BinaryIO, ClassVar, Final, Self

from wyoming.asr import Transcribe, Transcript
from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.event import Event, read_event, write_event
from wyoming.info import Describe
from wyoming.ping import Ping, Pong
from wyoming.satellite import RunSatellite
from wyoming.tts import Synthesize
from wyoming.vad import VoiceStarted, VoiceStopped

from fakes.voice_script import SPEECH, TRANSCRIPT, Act, Pause, Word
from fakes.voice_service import LOCAL, Address, Switches, VoiceService

FORM: Final = {"rate": 16_000, "width": 2, "channels": 1}
FROM: Final = ("127.0.0.2", 0)
"""Not the address of the ear: else it might be given the port of an ear that is away, and reach
itself."""

AGAIN_S: Final = 0.05
"""Seconds between two tries to connect."""


class WyomingVoice(VoiceService):
    """Uses the satellite at ``address`` until it is closed, and connects again after each loss."""

    said: ClassVar = {
        Word.PROCESSING: [VoiceStarted(timestamp=0).event(), VoiceStopped(timestamp=900).event()],
        Word.TRANSCRIPT: [Transcript(text=TRANSCRIPT).event()],
        Word.REPLY: [Synthesize(text="Late.").event()],
        Word.SPEECH: [AudioStart(**FORM).event(), AudioChunk(audio=SPEECH, **FORM).event()],
        Word.DONE: [AudioStop().event()],
    }

    def __init__(
        self, switches: Switches | None = None, log: Path | None = None, address: Address = LOCAL
    ) -> None:
        super().__init__(switches, log)
        self._address = address
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._live, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closed.set()

    def _live(self) -> None:
        while not self._closed.is_set():
            try:
                with socket.create_connection(self._address, 2.0, FROM) as link:
                    link.settimeout(None)
                    self._use(link.makefile("rb"), link.makefile("wb"))
            except OSError:
                self._closed.wait(AGAIN_S)

    def _use(self, reader: BinaryIO, writer: BinaryIO) -> None:
        self._say(writer, RunSatellite().event(), Describe().event())
        pcm = b""
        while (event := read_event(reader)) is not None:
            match event.type:
                case "ping":
                    self._say(writer, Pong(Ping.from_event(event).text).event())
                case "run-pipeline":
                    pcm = b""
                    self._say(writer, Transcribe(language="en").event())
                case "audio-chunk":
                    pcm += event.payload or b""
                case "audio-stop":
                    self._answer(writer, pcm)

    def _answer(self, writer: BinaryIO, pcm: bytes) -> None:
        for step in self.run(pcm):
            match step:
                case Word():
                    self._say(writer, *self.said[step])
                case Pause(least_s, most_s):
                    time.sleep(self.pause(least_s, most_s))
                case Act.DIE:
                    os.kill(os.getpid(), signal.SIGKILL)

    @staticmethod
    def _say(writer: BinaryIO, *events: Event) -> None:
        for event in events:
            write_event(event, writer)
        writer.flush()
