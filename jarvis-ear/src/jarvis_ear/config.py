"""Every option of the ear: its type, default, range, unit and meaning, each said once.

From this tree come the command line (``--hearing.endpointing.hangover-ms 700``), the environment
(``JARVIS_EAR_HEARING__ENDPOINTING__HANGOVER_MS=700``), the file (``[hearing.endpointing]
hangover_ms = 700``) and ``docs/configuration.md``. Sections are frozen; each class gets the section
it uses and never the whole tree. Milliseconds are for people: whoever uses one turns it into
samples once, in its constructor.
"""

import re
from pathlib import Path
from typing import Final, Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

BACKEND_URL: Final = "http://localhost:4000"
"""Where the owner's backend listens, unless configured otherwise."""

JARVIS_PASSWORD: Final = "jarvis"  # noqa: S105 - the public default of the backend, meant to be changed
"""The password a backend has until its owner changes it."""

AGENT_ID: Final = "jarvis-ear"
"""The name of this satellite on the wire, stable over restarts."""

CONFIG_FILE: Final = Path("/etc/jarvis-ear/config.toml")
"""Read when it exists and no other file is named."""


SEND_S: Final = 1.0
"""Least time, in seconds, between the end of a sentence and the age at which it is too old."""

CHANNELS: Final = ("mix", *"01234567")
"""What `microphone.channel` may be."""

NEWS: Final = ("wake", "transcript", "turn")
"""What `bus.publish` may name."""


class Section(BaseModel):
    """What all sections share: frozen, no unknown names, docstrings as descriptions."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class MicrophoneOptions(Section):
    """Where the sound comes from."""

    device: str = ""
    """Input device: `hw:CARD=ID`, a name or part of one, `/expression/`, `hw:1,0` (a card's number,
    which may change), or an index. Empty: the default. It is looked up anew at every opening; see
    `jarvis-ear devices`."""
    channel: str = "0"
    """Which channel of the device to hear, counted from `0`, or `mix` for the mean of all."""
    input: str = ""
    """A sound file to hear instead of a microphone, or `-` for raw PCM16 on standard input."""
    fallback: str = ""
    """A sound file to hear while there is no microphone at all, for trying out."""
    fast: bool = False
    """Hear a file as fast as the machine can, instead of in real time."""
    latency_ms: int = Field(1000, ge=100, le=2000)
    """Buffer asked of the sound card: what may pile up there before sound is lost. A device that
    only PortAudio can open gets a fifth of it."""
    stall_ms: int = Field(500, ge=100, le=10_000)
    """Without a sample for so long, the microphone counts as lost."""
    first_block_ms: int = Field(3000, ge=500, le=30_000)
    """How long an opened microphone may take until its first sample."""
    mute_between: str = ""
    """Be muted every day between two times of the clock on the wall: `23:00-07:00`, in a file also
    `["23:00", "07:00"]`. Empty: never by the clock."""

    @field_validator("device")
    @classmethod
    def _require_expression(cls, device: str) -> str:
        slashed = re.fullmatch("/(.+)/", device)
        if slashed and not _is_expression(slashed[1]):
            raise ValueError("a regular expression between the slashes")
        return device

    @field_validator("channel", mode="before")
    @classmethod
    def _require_channel(cls, channel: object) -> object:
        if str(channel) not in CHANNELS:
            raise ValueError("a channel from 0 to 7, or mix")
        return str(channel)

    @field_validator("mute_between", mode="before")
    @classmethod
    def _require_times(cls, times: object) -> object:
        text = "-".join(map(str, times)) if isinstance(times, list | tuple) else str(times)
        begin, _, end = text.partition("-")
        if text and not (_is_time(begin) and _is_time(end) and begin != end):
            raise ValueError('two different times, as "23:00-07:00"')
        return text


class GateOptions(Section):
    """The cheap listener that decides when the wake model has to run."""

    mode: Literal["vad", "always"] = "vad"
    """`vad`: the model runs while somebody may be speaking. `always`: it never rests."""
    aggressiveness: int = Field(1, ge=0, le=3)
    """How much must speak for speech (webrtcvad mode). Above 1 it is deaf to quiet microphones."""
    lookback_ms: int = Field(320, ge=80, le=1600)
    """Sound from before the gate opened that the model hears first."""
    hangover_ms: int = Field(480, ge=0, le=5000)
    """How long the gate stays open after the last speech."""


class WakeOptions(Section):
    """When the wake word counts as heard."""

    model: Path | None = None
    """A wake word of your own: an openWakeWord model (`.onnx`). Empty: "hey jarvis"."""
    threshold: float = Field(0.5, gt=0, lt=1)
    """Score from which a step counts. Lower hears more, and more that nobody said."""
    patience: int = Field(1, ge=1, le=10)
    """Steps (80 ms) in a row that must count."""
    refractory_ms: int = Field(1500, ge=0, le=10_000)
    """After a detection, no other one counts for so long, nor before the score has fallen."""


class EndpointingOptions(Section):
    """When a sentence begins and when it is over."""

    onset_ms: int = Field(100, ge=20, le=1000)
    """Speech needed before we believe that somebody is talking."""
    pre_roll_ms: int = Field(500, ge=0, le=2000)
    """Sound from before the onset that is sent with the utterance."""
    hangover_ms: int = Field(800, ge=100, le=5000)
    """Silence that ends an utterance. Longer is more patient, shorter is snappier."""
    no_speech_ms: int = Field(5000, ge=500, le=30_000)
    """Without speech for so long after the wake word, the ear goes idle and sends nothing."""
    max_ms: int = Field(28_000, ge=1000, le=29_000)
    """Longest utterance: it is cut and sent here. The backend takes at most 30 s."""

    @model_validator(mode="after")
    def _leave_room_for_speech(self) -> Self:
        """Refuse a longest utterance that the sound from before the speech would fill."""
        if self.max_ms <= self.pre_roll_ms + self.onset_ms:
            raise ValueError("max_ms must be more than pre_roll_ms and onset_ms together")
        return self


class ConditioningOptions(Section):
    """What is done to sound before it is used: nothing, unless you ask for it."""

    high_pass_hz: int = Field(0, ge=0, le=500)
    """Take out what is lower: 100 helps against mains hum, and voices keep their sound. 0: off."""
    gain_db: float = Field(0.0, ge=-30, le=30)
    """Make everything so much louder. What is too loud for 16 bits is cut off."""


class HeardOptions(ConditioningOptions):
    """What is done to the sound that wake word and end of speech are looked for in."""


class SentOptions(ConditioningOptions):
    """What is done to the sound that the backend gets."""


class HearingOptions(Section):
    """From sound to utterances."""

    heard: HeardOptions = HeardOptions()
    sent: SentOptions = SentOptions()
    gate: GateOptions = GateOptions()
    wake: WakeOptions = WakeOptions()
    endpointing: EndpointingOptions = EndpointingOptions()
    reply_ms: int = Field(180_000, ge=1000, le=600_000)
    """Longest wait for a reply before the ear gives the turn up."""
    follow_up_ms: int = Field(0, ge=0, le=30_000)
    """After a reply, speech within so long needs no wake word. 0: it always does."""


class BackendOptions(Section):
    """The server that understands and answers."""

    url: str = BACKEND_URL
    """Where the backend is: `http://` or `https://`, host and port, on every protocol."""
    protocol: Literal["socketio", "voice-ws", "session", "realtime"] = "socketio"
    """What is spoken with it. `socketio` hands a sentence over when it is complete; the others
    send it while it is spoken: `voice-ws` (`/ws/voice`), `session` (`/ws/sessions/ID`) and
    `realtime` (`/ws/realtime`)."""
    path: str = ""
    """Path of the WebSocket, for example `/ws/voice`. Empty: the usual one of the protocol.
    `socketio` and `session` have a fixed one."""
    password: SecretStr = Field(SecretStr(JARVIS_PASSWORD), min_length=1)
    """For the login. Never an argument: environment, credential, or `password_file`."""
    password_file: Path | None = None
    """A file that holds the password, readable by its owner only."""
    token: SecretStr = Field(SecretStr(""), min_length=1)
    """Shown instead of a login, for a server that gives tokens in another way. Never an argument:
    environment, credential, or `token_file`. Not given: the ear logs in, where there is a login."""
    token_file: Path | None = None
    """A file that holds the token, readable by its owner only."""
    agent_id: str = Field(AGENT_ID, min_length=1, max_length=64)
    """Name of this satellite. Two ears with one name destroy each other's commands."""
    allow_plaintext: bool = False
    """Send password and voice unencrypted to a backend on another machine (`http://`): anybody on
    the network between can read both, and speak as you. Off: that is refused."""
    ca_file: Path | None = None
    """Certificate authority (PEM) that vouches for an `https://` backend. Empty: the system's."""
    delivery: Literal["at_most_once", "at_least_once"] = "at_most_once"
    """What happens to a sentence when nobody knows whether the backend got it. `at_most_once`: it
    is not sent again. `at_least_once`: it is, while fresh, and a command may run twice."""
    waiting: Literal["replace", "queue"] = "replace"
    """What happens to a sentence that still waits for the link when a newer one is said. `replace`:
    it is not run. `queue`: both are sent, in order, each while fresh."""
    fresh_s: int = Field(30, ge=5, le=120)
    """Age, counted from its last word, from which a sentence is too old to be run."""
    connect_s: float = Field(5.0, ge=0.5, le=60)
    """Deadline of a login, and of a connection with its handshake."""
    reply_s: float = Field(60.0, ge=1, le=600)
    """Longest silence of the backend between two events of a turn."""
    gap_s: float = Field(15.0, ge=0.5, le=120)
    """How long the sentences of a reply wait for an earlier one while nothing of the reply comes.
    Then that one is left out, with a warning."""
    whole_reply_s: float = Field(180.0, ge=5, le=600)
    """How long a whole reply may take to arrive, however often the backend says something."""

    @field_validator("url")
    @classmethod
    def _require_address(cls, url: str) -> str:
        if not _is_address(url, "http", "https"):
            raise ValueError("http:// or https://, a host and a port, without a name or password")
        return url

    @field_validator("token")
    @classmethod
    def _require_token(cls, token: SecretStr) -> SecretStr:
        if not re.fullmatch(r"[!-~]{0,8192}", token.get_secret_value()):
            raise ValueError("letters, digits and signs of ASCII, without spaces")
        return token

    @field_validator("path")
    @classmethod
    def _require_path(cls, path: str) -> str:
        if not re.fullmatch(r"(/[A-Za-z0-9._~-]+)*", path):
            raise ValueError("a path that begins with / and has only letters, digits and ._~-")
        return path


class BusOptions(Section):
    """The event bus that the ear joins, if you name one: there its microphone can be switched."""

    url: str = ""
    """Where the bus is: `ws://` or `wss://`, host and port; the path is `/ws` unless given. Empty:
    the ear joins none."""
    key: SecretStr = Field(SecretStr(""), min_length=1)
    """Shared by all who use the bus, to sign with: what is not signed with it is not obeyed. Never
    an argument: environment, credential, or `key_file`. Not given: nothing is signed."""
    key_file: Path | None = None
    """A file that holds the key, readable by its owner only."""
    may_unmute: bool = False
    """Let the bus open the microphone whoever closed it, as you could. Off: it ends only a mute of
    its own."""
    publish: str = ""
    """What the bus is told besides mute and unmute: `wake`, `transcript` (what was understood, in
    words), `turn` (how each ended); several with commas, in a file also a list. Empty: nothing."""
    allow_plaintext: bool = False
    """Speak unencrypted with a bus on another machine (`ws://`). Off: that is refused."""

    @field_validator("url")
    @classmethod
    def _require_address(cls, url: str) -> str:
        if url and not _is_address(url, "ws", "wss"):
            raise ValueError("ws:// or wss://, a host and a port, without a name or password")
        return url

    @field_validator("publish", mode="before")
    @classmethod
    def _require_news(cls, given: object) -> object:
        parts = given if isinstance(given, list | tuple) else str(given).split(",")
        names = [str(part).strip() for part in parts]
        if names != [""] and not set(names) <= set(NEWS):
            raise ValueError(f"some of {', '.join(NEWS)}")
        return ", ".join(dict.fromkeys(names))

    @property
    def news(self) -> frozenset[str]:
        """What may be published."""
        return frozenset(self.publish.split(", ")) - {""}


class SpoolOptions(Section):
    """Where sentences wait that a killed or restarted ear must not lose."""

    enabled: bool = True
    """Keep each sentence on file until its verdict is known. Off: in memory only, no ledger."""
    dir: Path | None = None
    """Folder of the sentences. Empty: the service's or session's folder in memory."""
    ledger_dir: Path | None = None
    """Folder of the ledger: what became of each, no sound and no text. Empty: the state folder."""


class SpeakerOptions(Section):
    """Where replies are heard."""

    device: str = ""
    """Output device: part of its name, or its index. Empty: the default; `none`: no sound."""
    output_dir: Path | None = None
    """Folder that gets every reply as a sound file. Empty: nothing is kept."""


class LogOptions(Section):
    """What the journal is told."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """The least important kind of line that is written."""
    format: Literal["auto", "text", "json"] = "auto"
    """`text`, `json` (one object per line), or `auto`: what suits where the lines go."""
    transcripts: bool = False
    """Write what was understood into the log. Off: only how long it was."""


class ConsoleOptions(Section):
    """What `jarvis-ear console` shows, and where."""

    port: int = Field(4888, ge=0, le=65_535)
    """Port of the page, on this machine only (127.0.0.1). 0: any that is free."""
    transcripts: bool = False
    """Show the words that were understood, in the console of whoever runs the ear. They are kept in
    memory for the last turns, and never stored. Off: only how long they were."""


class Config(Section):
    """All options of the ear."""

    microphone: MicrophoneOptions = MicrophoneOptions()
    hearing: HearingOptions = HearingOptions()
    backend: BackendOptions = BackendOptions()
    bus: BusOptions = BusOptions()
    spool: SpoolOptions = SpoolOptions()
    speaker: SpeakerOptions = SpeakerOptions()
    log: LogOptions = LogOptions()
    console: ConsoleOptions = ConsoleOptions()
    with_backend: bool = False
    """Run the reference backend along with the ear, for trying out."""

    @model_validator(mode="after")
    def _leave_time_to_send(self) -> Self:
        """Refuse a pause that makes every sentence too old before it is over."""
        pause_s = self.hearing.endpointing.hangover_ms / 1000
        if self.backend.fresh_s < pause_s + SEND_S:
            raise ValueError(
                "backend.fresh_s counts from the last word: expected at least "
                f"{SEND_S:g} s more than hearing.endpointing.hangover_ms ({pause_s:g} s)"
            )
        return self


def _is_time(text: str) -> bool:
    """Whether ``text`` is hours and minutes of a day, as 07:30."""
    return re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", text) is not None


def _is_expression(text: str) -> bool:
    try:
        re.compile(text)
    except re.error:
        return False
    return True


def _is_address(url: str, *schemes: str) -> bool:
    """Whether ``url`` names a server, and nothing that had better not be seen in a log."""
    try:
        parts = urlsplit(url)
        known = parts.scheme in schemes and parts.port != 0
    except ValueError:  # brackets that do not match, a port that is no number
        return False
    surplus = parts.query or parts.fragment or "@" in parts.netloc
    return bool(known and parts.hostname and url.isprintable() and " " not in url and not surplus)
