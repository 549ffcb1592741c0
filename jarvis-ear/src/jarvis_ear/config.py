"""Every option of the ear, declared once: type, default, range, unit and description.

The command line (``--hearing.endpointing.hangover-ms 700``), the environment
(``JARVIS_EAR_HEARING__ENDPOINTING__HANGOVER_MS=700``), the file (``[hearing.endpointing]
hangover_ms = 700``) and ``docs/configuration.md`` are generated from this tree. Sections are
frozen; a class receives the section that it uses, not the whole tree, and converts milliseconds
into samples in its constructor.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final, Literal, Self, TypeAlias

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    SecretStr,
    model_validator,
)

from jarvis_ear.config_checks import (
    checked_channel,
    checked_device,
    checked_hours,
    checked_networks,
    checked_news,
    checked_path,
    checked_program,
    checked_token,
    is_on_loopback,
    listening_address,
    server_address,
)
from jarvis_ear.config_hearing import (
    HEY_JARVIS,
    SHIPPED_WORDS,
    ConditioningOptions,
    EndpointingOptions,
    GateOptions,
    HeardOptions,
    HearingOptions,
    Section,
    SentOptions,
    WakeLedgerOptions,
    WakeOptions,
    WakeWord,
)
from jarvis_ear.config_home import MetricsOptions, MqttOptions
from jarvis_ear.paths import CONFIG, SERVICE_SETTINGS

__all__ = [
    "AGENT_ID",
    "BACKEND_URL",
    "CONFIG_FILE",
    "HEY_JARVIS",
    "HOOKS",
    "JARVIS_PASSWORD",
    "NO_BARGE_IN",
    "SEND_S",
    "SHIPPED_WORDS",
    "BackendOptions",
    "BusOptions",
    "ConditioningOptions",
    "Config",
    "ConsoleOptions",
    "EndpointingOptions",
    "GateOptions",
    "HeardOptions",
    "HearingOptions",
    "HookOptions",
    "LogOptions",
    "MetricsOptions",
    "MicrophoneOptions",
    "MqttOptions",
    "Program",
    "RoomsOptions",
    "Section",
    "SentOptions",
    "SoundsOptions",
    "SpeakerOptions",
    "SpoolOptions",
    "WakeLedgerOptions",
    "WakeOptions",
    "WakeWord",
    "WyomingOptions",
]

BACKEND_URL: Final = "http://localhost:4000"
"""The default address of the backend."""

JARVIS_PASSWORD: Final = "jarvis"  # noqa: S105 - the public default of the backend, meant to be changed
"""The password of a backend until its owner changes it."""

AGENT_ID: Final = "jarvis-ear"
"""The default name of this satellite on the wire."""

CONFIG_FILE: Final = SERVICE_SETTINGS / CONFIG
"""Read if it exists, no other file is named, and this user has none of their own."""

NO_BARGE_IN: Final = "off"
"""Value of `speaker.barge_in` with which the wake word has no effect during a reply."""

SEND_S: Final = 1.0
"""Minimum time in seconds between the end of an utterance and the age at which it is too old."""

Program: TypeAlias = Annotated[tuple[str, ...], AfterValidator(checked_program)]
"""A program and its arguments, as for exec(3). Empty: none."""


class MicrophoneOptions(Section):
    """The source of sound."""

    device: Annotated[str, AfterValidator(checked_device)] = ""
    """Input device: `hw:CARD=ID`, a name or part of one, `/expression/`, `hw:1,0` (a card's number,
    which may change), or an index. Empty: the default. It is looked up at every opening; see
    `jarvis-ear devices`."""
    channel: Annotated[str, BeforeValidator(checked_channel)] = "0"
    """Channel of the device, counted from `0`, or `mix` for the mean of all channels."""
    input: str = ""
    """A sound file to use instead of a microphone, or `-` for raw PCM16 on standard input."""
    fallback: str = ""
    """A sound file to use while there is no microphone, to try the ear."""
    fast: bool = False
    """Process a file as fast as possible instead of in real time."""
    latency_ms: int = Field(default=1000, ge=100, le=2000)
    """Buffer requested from the sound card: more sound than this is lost. A device that only
    PortAudio can open gets a fifth of it."""
    stall_ms: int = Field(default=500, ge=100, le=10_000)
    """Time without samples after which the microphone counts as lost."""
    first_block_ms: int = Field(default=3000, ge=500, le=30_000)
    """Maximum time between opening the microphone and its first sample."""
    mute_between: Annotated[str, BeforeValidator(checked_hours)] = ""
    """Daily quiet hours in local time, during which the ear is muted: `23:00-07:00`, in a file also
    `["23:00", "07:00"]`. Empty: none."""


class WyomingOptions(Section):
    """Home Assistant as the backend (`backend.protocol = "wyoming"`), which connects to the ear."""

    uri: Annotated[str, AfterValidator(listening_address)] = "tcp://127.0.0.1:10700"
    """Address on which the ear waits for Home Assistant: `tcp://`, an address of this machine and a
    port. `tcp://0.0.0.0:10700` can be reached by other machines, and requires `allow`."""
    allow: Annotated[tuple[str, ...], AfterValidator(checked_networks)] = ()
    """Addresses and networks that may connect: `192.168.1.20`, `192.168.1.0/24`. What is said to
    the ear goes there unencrypted. Empty: this machine only."""


class BackendOptions(Section):
    """The server that recognises speech and answers."""

    url: Annotated[str, server_address("http", "https")] = BACKEND_URL
    """Address of the backend: `http://` or `https://`, host and port, on every protocol."""
    protocol: Literal["socketio", "voice-ws", "session", "realtime", "wyoming"] = "socketio"
    """Protocol of the backend. `socketio` and `wyoming` (Home Assistant) send an utterance when it
    is complete; the others send it while it is spoken: `voice-ws` (`/ws/voice`), `session`
    (`/ws/sessions/ID`) and `realtime` (`/ws/realtime`)."""
    path: Annotated[str, AfterValidator(checked_path)] = ""
    """Path of the WebSocket, for example `/ws/voice`. Empty: the default of the protocol.
    It is fixed for `socketio` and `session`."""
    password: SecretStr = Field(default=SecretStr(JARVIS_PASSWORD), min_length=1)
    """Password for the login. Never an argument: environment, credential, or `password_file`."""
    password_file: Path | None = None
    """A file that holds the password, readable by its owner only."""
    token: Annotated[SecretStr, AfterValidator(checked_token)] = Field(
        default=SecretStr(""), min_length=1
    )
    """Token that replaces the login, for a server that issues tokens in another way. Never an
    argument: environment, credential, or `token_file`. Not given: the ear logs in if the protocol
    has a login."""
    token_file: Path | None = None
    """A file that holds the token, readable by its owner only."""
    agent_id: str = Field(default=AGENT_ID, min_length=1, max_length=64)
    """Name of this satellite. Two ears with the same name overwrite each other's commands."""
    allow_plaintext: bool = False
    """Send password and voice unencrypted to a backend on another machine (`http://`): anyone on
    the network in between can read both and give commands in your name. Off: that is refused."""
    ca_file: Path | None = None
    """Certificate authority (PEM) of an `https://` backend. Empty: those of the system."""
    may_set_volume: bool = True
    """Let the backend change the volume of replies, when a person says "louder" for example. Off:
    the volume stays, with a warning."""
    delivery: Literal["at_most_once", "at_least_once"] = "at_most_once"
    """What happens to an utterance if it is unknown whether the backend received it.
    `at_most_once`: it is not sent again. `at_least_once`: it is sent again while it is fresh, and a
    command may run twice."""
    waiting: Literal["replace", "queue"] = "replace"
    """What happens to an utterance that waits for the link when a newer one is spoken. `replace`:
    it is discarded. `queue`: both are sent in order, each while it is fresh."""
    fresh_s: int = Field(default=30, ge=5, le=120)
    """Maximum age of an utterance, counted from its last word, at which it is still sent."""
    connect_s: float = Field(default=5.0, ge=0.5, le=60)
    """Time-out of a login, and of a connection with its handshake."""
    reply_s: float = Field(default=60.0, ge=1, le=600)
    """Maximum time between two events of a turn from the backend."""
    gap_s: float = Field(default=15.0, ge=0.5, le=120)
    """How long chunks of a reply wait for a missing earlier one while no other chunk arrives. Then
    the missing one is skipped, with a warning."""
    whole_reply_s: float = Field(default=180.0, ge=5, le=600)
    """Maximum time until a reply is complete, however many events arrive."""
    wyoming: WyomingOptions = WyomingOptions()


class BusOptions(Section):
    """The event bus that the ear joins if it is configured; clients of the bus can mute the ear."""

    url: Annotated[str, server_address("ws", "wss", is_optional=True)] = ""
    """Address of the bus: `ws://` or `wss://`, host and port; the path is `/ws` unless given.
    Empty: none."""
    key: SecretStr = Field(default=SecretStr(""), min_length=1)
    """Key shared by all clients of the bus, which sign their messages; the ear ignores messages
    without a valid signature. Never an argument: environment, credential, or `key_file`. Not given:
    messages are not signed."""
    key_file: Path | None = None
    """A file that holds the key, readable by its owner only."""
    may_unmute: bool = False
    """Allow the bus to end every mute of the ear. Off: it can only end its own mute."""
    may_listen: bool = False
    """Allow the bus to make the ear listen without the wake word (`ear_listen`)."""
    publish: Annotated[str, BeforeValidator(checked_news)] = ""
    """Events to publish besides mute and unmute: `wake`, `transcript` (the recognised words),
    `turn` (how each ended); separated by commas, in a file also a list. Empty: none."""
    allow_plaintext: bool = False
    """Talk unencrypted to a bus on another machine (`ws://`). Off: that is refused."""

    @property
    def news(self) -> frozenset[str]:
        """The items of ``publish``."""
        return frozenset(self.publish.split(", ")) - {""}


class RoomsOptions(Section):
    """Ears in several rooms of one home: the one that hears the wake word best answers it."""

    group: str = Field(default="", max_length=64)
    """Name of the home, the same for all its ears. Each ear needs its own `backend.agent_id`.
    With it, `key` or `bus.url` is needed. Empty: this ear answers every wake word."""
    key: SecretStr = Field(default=SecretStr(""), min_length=16)
    """Key shared by the ears, which sign their messages over the local network (UDP multicast): at
    least 16 characters. Never an argument: environment, credential, or `key_file`. Not given: they
    agree over the event bus only, and no socket is opened."""
    key_file: Path | None = None
    """A file that holds the key, readable by its owner only."""


class SpoolOptions(Section):
    """Storage of utterances, so that a killed or restarted ear does not lose them."""

    enabled: bool = True
    """Store each utterance in a file until its verdict is known. Off: in memory only, no ledger."""
    dir: Path | None = None
    """Folder of the utterances. Empty: the runtime folder of the service or session, in memory."""
    ledger_dir: Path | None = None
    """Folder of the ledger: the verdicts, without sound or text. Empty: the state folder."""


class SpeakerOptions(Section):
    """Output of replies."""

    device: str = ""
    """Output device: part of its name, or its index. Empty: the default; `none`: no sound."""
    volume: int = Field(default=100, ge=0, le=100)
    """Volume of replies in per cent: 50 is -18 dB, 0 is silence. `jarvis-ear volume`, a broker and
    the backend override it, until this option gets another value."""
    warm_s: float = Field(default=10.0, ge=0, le=3600)
    """Time for which the device stays open, playing silence, after a reply and after a wake word:
    the next reply begins at once. 0: it is closed after every reply, for other programs to use."""
    lead_in_ms: int = Field(default=0, ge=0, le=5000)
    """Minimum silence between opening the device and the first word, for a device whose standby
    mode cuts off the first sound (HDMI, Bluetooth). While the device is open, there is none."""
    barge_in: Literal["on", "wake-word-quietly", "off"] = "on"
    """The wake word during a reply. `on`: it pauses the reply. `wake-word-quietly`: the reply
    continues quietly until the command is complete. `off`: it is ignored, for a loudspeaker that
    the ear cannot tell from a person."""
    output_dir: Path | None = None
    """Folder where every reply is stored as a sound file. Empty: none."""
    announcements: bool = True
    """Play speech that the backend sends without a question, when the ear is idle. Off: it is
    logged and not played. `jarvis-ear say` always plays."""
    lag_ms: int = Field(default=0, ge=0, le=2000)
    """Delay of a Bluetooth loudspeaker or soundbar beyond what it reports. For this time after a
    reply, the ear takes what the microphone hears for the reply, and not for speech without the
    wake word."""


class SoundsOptions(Section):
    """Sounds that report what happens to a turn: `default`, `none`, or a WAV file of up to 3 s."""

    wake: str = "default"
    """The wake word was detected, or the ear was asked to listen."""
    captured: str = "default"
    """The end of the utterance was detected."""
    nothing_heard: str = "default"
    """No command followed the wake word."""
    not_understood: str = "default"
    """The backend recognised no words."""
    failed: str = "default"
    """The command was not run, its reply did not come, or the backend is away."""
    refused: str = "default"
    """The backend reported an error."""
    expired: str = "default"
    """The command became too old while it waited for the backend, and was not run."""
    done: str = "default"
    """The command was run, and its reply has no speech."""
    follow_up: str = "none"
    """The ear listens for more without the wake word; silent unless this is changed."""
    muted: str = "default"
    """The microphone was muted. Quiet hours are silent."""
    unmuted: str = "default"
    """The microphone was unmuted."""
    microphone_lost: str = "default"
    """Sound no longer comes from the microphone."""


class LogOptions(Section):
    """Log messages."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """Minimum level of messages."""
    format: Literal["auto", "text", "json"] = "auto"
    """`text`, `json` (one object per line), or `auto`: depends on the destination."""
    transcripts: bool = False
    """Log the recognised words. Off: only their number of characters."""


class ConsoleOptions(Section):
    """The page that `jarvis-ear console` serves."""

    port: int = Field(default=4888, ge=0, le=65_535)
    """Port of the page, on this machine only (127.0.0.1). 0: any free port."""
    transcripts: bool = False
    """Show the recognised words in the console. They are kept in memory for the last turns and
    never stored. Off: only their number of characters."""


class HookOptions(Section):
    """Programs and a URL that get one JSON object for each event, to switch an LED for example."""

    wake: Program = ()
    """Program to run when the wake word is detected: a list of the program and its arguments, run
    without a shell, with the event as JSON on standard input. Empty: none."""
    listening: Program = ()
    """Program to run when the ear awaits speech, after the wake word or in the follow-up window."""
    capturing: Program = ()
    """Program to run when a person begins to speak to the ear."""
    thinking: Program = ()
    """Program to run when the utterance is complete and the ear waits for the reply."""
    speaking: Program = ()
    """Program to run when a reply is played."""
    idle: Program = ()
    """Program to run when the ear waits for the wake word, and at the start."""
    muted: Program = ()
    """Program to run when the ear is muted."""
    deaf: Program = ()
    """Program to run when there is no microphone, or one without sound."""
    failed: Program = ()
    """Program to run when a turn ends as `failed`, `expired`, `in_doubt` or `reply_lost`."""
    url: Annotated[str, server_address("http", "https", is_optional=True)] = ""
    """Address to which every event is posted: `http://` or `https://`, with a path. The service can
    reach this machine and private networks. Empty: none."""
    timeout_s: float = Field(default=5.0, ge=0.1, le=60)
    """Time after which a program is killed, and a request to the URL is given up."""

    @property
    def programs(self) -> Mapping[str, tuple[str, ...]]:
        """The configured programs, by event."""
        commands = ((name, getattr(self, name)) for name in HOOKS)
        return {name: command for name, command in commands if command}


HOOKS: Final = tuple(
    name for name, field in HookOptions.model_fields.items() if field.annotation == tuple[str, ...]
)
"""The events that a program can be run for."""


class Config(Section):
    """All options of the ear."""

    microphone: MicrophoneOptions = MicrophoneOptions()
    hearing: HearingOptions = HearingOptions()
    backend: BackendOptions = BackendOptions()
    bus: BusOptions = BusOptions()
    rooms: RoomsOptions = RoomsOptions()
    spool: SpoolOptions = SpoolOptions()
    speaker: SpeakerOptions = SpeakerOptions()
    sounds: SoundsOptions = SoundsOptions()
    log: LogOptions = LogOptions()
    console: ConsoleOptions = ConsoleOptions()
    hooks: HookOptions = HookOptions()
    metrics: MetricsOptions = MetricsOptions()
    mqtt: MqttOptions = MqttOptions()
    with_backend: bool = False
    """Run the reference backend with the ear, to try it."""

    @model_validator(mode="after")
    def _leave_time_to_send(self) -> Self:
        """Refuse a hangover that makes every utterance too old before it ends."""
        pause_s = self.hearing.endpointing.hangover_ms / 1000
        if self.backend.fresh_s < pause_s + SEND_S:
            raise ValueError(
                "backend.fresh_s counts from the last word: expected at least "
                f"{SEND_S:g} s more than hearing.endpointing.hangover_ms ({pause_s:g} s)"
            )
        return self

    @model_validator(mode="after")
    def _know_the_server(self) -> Self:
        """Refuse a socket for other machines without a list of those that may use it."""
        options = self.backend.wyoming
        if not options.allow and not is_on_loopback(options.uri):
            raise ValueError(
                "backend.wyoming.allow: expected the address of Home Assistant: other machines "
                f"reach {options.uri}, and the one that connects gets what is said to the ear"
            )
        if self.with_backend and self.backend.protocol == "wyoming":
            raise ValueError("with_backend: expected false, since Home Assistant is the backend")
        return self

    @model_validator(mode="after")
    def _reach_other_rooms(self) -> Self:
        """Refuse ears of a group that have no way to hear of each other."""
        if self.rooms.group and not (self.rooms.key.get_secret_value() or self.bus.url):
            raise ValueError("rooms.group: expected rooms.key (rooms.key_file), or bus.url")
        return self
