"""The Wyoming protocol, as Home Assistant speaks it with a satellite: codec and dialect.

Pure: translates bytes to events of the package ``wyoming``, and events to messages. Invalid input
raises ``RemoteProtocolError`` and nothing else. The ear is the satellite: Home Assistant connects
to it. It never gets sound before the commit, because it runs what it has when a connection ends.
"""

import io
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol, assert_never

import numpy as np
from wyoming.audio import AudioChunk as SoundEvent
from wyoming.audio import AudioFormat
from wyoming.audio import AudioStart as SoundStart
from wyoming.audio import AudioStop as SoundStop
from wyoming.event import Event, write_event
from wyoming.info import (
    Attribution,
    Info,
    MicProgram,
    Satellite,
    SndProgram,
    WakeModel,
    WakeProgram,
)
from wyoming.ping import Ping as PingEvent
from wyoming.pipeline import PipelineStage, RunPipeline
from wyoming.wake import Detection

from jarvis_ear.audio.wav import HEADER_BYTES, Encoding, WavFormat, mix, pcm_to_wav
from jarvis_ear.config_hearing import WakeWord
from jarvis_ear.errors import LocalProtocolError, RemoteProtocolError
from jarvis_ear.units import SAMPLE_BYTES, SAMPLE_RATE
from jarvis_ear.wires.dialect import CONTENT_TYPE, ReplyChunks
from jarvis_ear.wires.json_fields import MAX_TEXT, printable, read_object
from jarvis_ear.wires.messages import (
    Answer,
    AudioChunk,
    AudioEnd,
    AudioPart,
    AudioStart,
    BackendError,
    FromBackend,
    Listening,
    Ping,
    Pong,
    Processing,
    ToBackend,
    Transcript,
    TtsChunk,
    TtsDone,
)

MAX_HEADER_BYTES: Final = 64 * 1024
"""Longest header line; that of Home Assistant has about 100 bytes."""

MAX_DATA_BYTES: Final = MAX_TEXT
"""Longest data of an event, as of a message on other wires."""

MAX_PAYLOAD_BYTES: Final = 1024 * 1024
"""Longest sound of an event: five seconds at 48 kHz in stereo. Home Assistant sends 2 KiB."""

PART_BYTES: Final = 1024 * SAMPLE_BYTES
"""Sound of one event of ours: 64 ms, as other satellites send it."""

_ENCODINGS: Final = {2: Encoding.S16, 3: Encoding.S24, 4: Encoding.S32}
"""Encoding by bytes of a sample."""

_RATES: Final = range(8_000, 192_001)
_CHANNELS: Final = range(1, 9)

_ERRORS: Final[Mapping[str, str]] = {
    "stt-no-text-recognized": "could not understand",
    "stt-provider-missing": "stt service not available",
    "stt-provider-unsupported-metadata": "stt service not available",
    "stt-stream-failed": "transcription failed",
    "timeout": "aborted due to timeout",
    "duplicate_wake_up_detected": "answered elsewhere",
}
"""Error codes of Home Assistant, as phrases that ``delivery.events.cause_of`` knows."""


@dataclass(frozen=True, slots=True)
class EventHeader:
    """The first line of an event, which says how long the rest is."""

    type: str
    data: Mapping[str, Any]
    """Data in the line itself; the data after it is added."""
    data_bytes: int
    """Bytes of data after the line, at most ``MAX_DATA_BYTES``."""
    payload_bytes: int
    """Bytes of sound after the data, at most ``MAX_PAYLOAD_BYTES``."""


def read_header(line: bytes) -> EventHeader:
    """Return the header in ``line``, or raise ``RemoteProtocolError``."""
    fields = _object(line)
    name, data = fields.get("type"), fields.get("data") or {}
    if not isinstance(name, str) or not isinstance(data, dict):
        raise RemoteProtocolError("an event without a type; expected a JSON object with one")
    return EventHeader(
        name,
        data,
        _whole(fields.get("data_length") or 0, "data_length", range(MAX_DATA_BYTES + 1)),
        _whole(fields.get("payload_length") or 0, "payload_length", range(MAX_PAYLOAD_BYTES + 1)),
    )


def read_event(header: EventHeader, data: bytes, payload: bytes) -> Event:
    """Return the event with that header and what followed it."""
    more = _object(data) if data else {}
    return Event(header.type, {**header.data, **more}, payload or None)


class EventReader(Protocol):
    """What events are read from, such as ``asyncio.StreamReader``."""

    async def readline(self) -> bytes:
        """Return a line; raise ``ValueError`` if it is longer than the reader allows."""
        ...

    async def readexactly(self, count: int, /) -> bytes:
        """Return so many bytes; raise ``EOFError`` if there are fewer."""
        ...


async def receive(reader: EventReader) -> Event | None:
    """Return the next event; None at the end. Raises ``RemoteProtocolError``.

    Bound: ``MAX_HEADER_BYTES`` if that is the limit of the reader, and those of ``EventHeader``.
    """
    try:
        line = await reader.readline()
        if not line:
            return None
        header = read_header(line)
        data = await reader.readexactly(header.data_bytes)
        return read_event(header, data, await reader.readexactly(header.payload_bytes))
    except (EOFError, OSError):
        return None
    except ValueError:  # the limit of the reader
        raise RemoteProtocolError(f"a line of over {MAX_HEADER_BYTES} bytes") from None


def encode(event: Event) -> bytes:
    """Return the bytes of an event."""
    file = io.BytesIO()
    write_event(event, file)
    return file.getvalue()


def describe_ear(name: str, version: str, words: Iterable[WakeWord]) -> Event:
    """Return the answer to ``describe``: a satellite ``name`` with its words, microphone and sound.

    It detects the wake word and the end of an utterance itself.
    """
    about: dict[str, Any] = {
        "attribution": Attribution("jarvis-ear", ""),
        "installed": True,
        "version": version,
    }
    models = [
        WakeModel(name=word.id, description=word.name, languages=["en"], phrase=word.name, **about)
        for word in words
    ]
    return Info(
        satellite=Satellite(
            name=name,
            description="Always-on room microphone",
            has_vad=True,
            active_wake_words=[model.name for model in models],
            max_active_wake_words=len(models),
            supports_trigger=False,
            **about,
        ),
        wake=[WakeProgram(name="jarvis-ear", description="Wake word", models=models, **about)],
        mic=[
            MicProgram(
                name="jarvis-ear",
                description="Microphone",
                mic_format=AudioFormat(SAMPLE_RATE, SAMPLE_BYTES, 1),
                **about,
            )
        ],
        snd=[
            SndProgram(
                name="jarvis-ear",
                description="Loudspeaker",
                snd_format=AudioFormat(22_050, SAMPLE_BYTES, 1),
                **about,
            )
        ],
    ).event()


class SatelliteDialect:
    """Translates for one connection, both ways. Pure; owned by the link.

    A ping follows the start of an utterance: its answer proves, before any sound is sent, that
    Home Assistant is there. A server that has never answered one need not prove it: the protocol
    had no pings at first. The sound itself is sent at the commit, all at once.
    """

    def __init__(self) -> None:
        self._pings = 0
        self._start_ping = ""
        self.answers_pings = False
        """Whether the server has answered one."""
        self._pcm = b""
        self._sound: WavFormat | None = None
        self._rest = b""  # the beginning of a sample whose end is in the next event
        self._reply: ReplyChunks | None = None
        self._is_asked = False  # a turn awaits its reply
        self._is_due = False  # a timer has ended; one that ends in a turn rings after it

    def say(self, message: ToBackend) -> tuple[Event, ...]:
        """Return the events for ``message``."""
        match message:
            case Ping():
                return (self._ping(),)
            case AudioStart():
                ping = self._ping()
                self._start_ping = str(self._pings)
                return (ping,)
            case AudioChunk(audio):
                self._pcm = audio[HEADER_BYTES:]
                return ()
            case AudioEnd(_, wake_word):
                return self._utterance(wake_word)
            case AudioPart():
                raise LocalProtocolError("this wire takes an utterance whole")
            case _:
                assert_never(message)

    def hear(  # noqa: PLR0911 - one case for each event
        self, event: Event
    ) -> tuple[FromBackend, ...]:
        """Return the messages of an event; an event that means nothing to the ear has none."""
        match event.type:
            case "pong":
                return self._pong(event.data.get("text"))
            case "transcribe":
                return (Processing(),)
            case "transcript":
                return (Transcript(text_of(event)),)
            case "synthesize":
                return (Answer(text_of(event)),)
            case "audio-start":
                return self._begin(event)
            case "audio-chunk":
                return self._chunk(event)
            case "audio-stop":
                return self._end()
            case "error":
                return self._failed(event)
            case "timer-finished":
                self._is_due = True
                return () if self._is_asked or self._reply else self._ring()
            case _:
                return ()

    def assume(self) -> tuple[FromBackend, ...]:
        """Take a server that has not answered the ping of a start, nor any other, for ready."""
        if self.answers_pings or not self._start_ping:
            return ()
        self._start_ping = ""
        return (Listening(),)

    def _ping(self) -> Event:
        self._pings += 1
        return PingEvent(str(self._pings)).event()

    def _pong(self, text: object) -> tuple[FromBackend, ...]:
        """Process a pong; one without a text answers every ping so far."""
        self.answers_pings = True
        if self._start_ping and text in (self._start_ping, None):
            self._start_ping = ""
            return (Listening(), Pong())
        return (Pong(),)

    def _utterance(self, wake_word: str) -> tuple[Event, ...]:
        pcm, self._pcm = self._pcm, b""
        self._is_asked = True
        form = {"rate": SAMPLE_RATE, "width": SAMPLE_BYTES, "channels": 1}
        parts = (
            SoundEvent(audio=pcm[at : at + PART_BYTES], timestamp=_ms(at), **form).event()
            for at in range(0, len(pcm), PART_BYTES)
        )
        run = RunPipeline(
            PipelineStage.ASR, PipelineStage.TTS, wake_word_name=wake_word or None
        ).event()
        return (
            *((Detection(name=wake_word).event(),) if wake_word else ()),
            run,
            SoundStart(timestamp=0, **form).event(),
            *parts,
            SoundStop(timestamp=_ms(len(pcm))).event(),
        )

    def _begin(self, event: Event) -> tuple[FromBackend, ...]:
        form = sound_format(event)
        ended = self._end() if self._reply is not None else ()
        self._sound, self._rest, self._reply = form, b"", ReplyChunks(form.rate)
        return ended

    def _chunk(self, event: Event) -> tuple[FromBackend, ...]:
        if self._reply is None or self._sound is None:
            raise RemoteProtocolError("sound before its audio-start")
        if sound_format(event) != self._sound:
            raise RemoteProtocolError("sound of another format than its audio-start")
        sound = self._rest + (event.payload or b"")
        whole = len(sound) - len(sound) % self._sound.frame_bytes
        self._rest = sound[whole:]
        return self._reply.add(mix(self._sound.decode(sound[:whole])).tobytes())

    def _end(self) -> tuple[FromBackend, ...]:
        reply, self._reply, self._is_asked = self._reply, None, False
        return (*(reply.finish() if reply is not None else ()), *self._ring())

    def _failed(self, event: Event) -> tuple[FromBackend, ...]:
        self._reply, self._is_asked = None, False
        code, text = event.data.get("code"), event.data.get("text")
        known = _ERRORS.get(code, "") if isinstance(code, str) else ""
        shown = printable(text[:MAX_TEXT]) if isinstance(text, str) else ""
        return (BackendError(known or shown), *self._ring())

    def _ring(self) -> tuple[FromBackend, ...]:
        """Return the sound of a finished timer as an announcement, if one is due."""
        is_due, self._is_due = self._is_due, False
        return (TtsChunk(0, CONTENT_TYPE, timer_sound()), TtsDone(1)) if is_due else ()


def timer_sound() -> bytes:
    """Return the sound of a finished timer: four times three short tones, 4 s, as a WAV file."""
    tone_s, rest_s = 0.12, 0.08
    at = np.arange(int(tone_s * SAMPLE_RATE)) / SAMPLE_RATE
    envelope = np.minimum(1, np.minimum(at, tone_s - at) / 0.01)
    tone = 8000 * envelope * np.sin(2 * math.pi * 880 * at)
    beep = np.concatenate([tone, np.zeros(int(rest_s * SAMPLE_RATE))])
    group = np.concatenate([beep, beep, beep, np.zeros(int(0.4 * SAMPLE_RATE))])
    return pcm_to_wav(np.tile(group, 4).astype("<i2").tobytes())


def _ms(pcm_bytes: int) -> int:
    return pcm_bytes * 1000 // (SAMPLE_RATE * SAMPLE_BYTES)


def sound_format(event: Event) -> WavFormat:
    """Return the format of the sound of an ``audio-start`` or ``audio-chunk``."""
    rate = _whole(event.data.get("rate"), "rate", _RATES)
    channels = _whole(event.data.get("channels"), "channels", _CHANNELS)
    width = _whole(event.data.get("width"), "width", range(2, 5))
    return WavFormat(rate, channels, _ENCODINGS[width], None)


def _object(text: bytes) -> dict[str, Any]:
    try:
        return read_object(text.decode())
    except UnicodeDecodeError:
        raise RemoteProtocolError("a message that is not UTF-8; expected a JSON object") from None


def _whole(value: object, name: str, wanted: range) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value not in wanted:
        raise RemoteProtocolError(
            f"{name} is not a whole number from {wanted.start} to {wanted.stop - 1}"
        )
    return value


def text_of(event: Event) -> str:
    """Return the text of an event, on one line."""
    text = event.data.get("text")
    if not isinstance(text, str):
        raise RemoteProtocolError(f"{event.type} without a text")
    return printable(text)
