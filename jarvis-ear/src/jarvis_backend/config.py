"""Every option of the backend, declared once: type, default, range, unit and description.

The command line (``--stt.engine openai``) and the environment
(``JARVIS_BACKEND_STT__ENGINE=openai``) are generated from this tree; the command line overrides the
environment. Secrets are never arguments, because every user of a machine can read those; they may
be credentials of the service manager, which the environment overrides.
"""

import ipaddress
import os
import re
from collections.abc import Iterable, MutableMapping, Sequence
from pathlib import Path
from typing import Annotated, Final, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr

from jarvis_backend.auth import NotAHash, Password
from jarvis_backend.errors import BackendConfigError
from jarvis_ear.options import load as options
from jarvis_ear.options.option import Schema

PASSWORD_VARIABLE: Final = "JARVIS_PASSWORD"  # noqa: S105 - a name
"""A variable with the password, for ear and backend alike."""

DEFAULT_PASSWORD: Final = "jarvis"  # noqa: S105 - the public default, refused off loopback
"""The password until the owner changes it."""

PASSWORD_CHARACTERS: Final = 8
"""Minimum length of a password if other machines reach the backend (NIST SP 800-63B, 5.1.1)."""

SECRET_LETTERS: Final = 32
"""Minimum length of a signing secret: HS256 signs with 256 bits (RFC 7518, 3.2)."""


def _hash(hashed: SecretStr) -> SecretStr:
    try:
        Password("", hashed.get_secret_value())
    except NotAHash:
        raise ValueError("the output of `jarvis-backend --hash-password`") from None
    return hashed


def _api_key(key: SecretStr) -> SecretStr:
    if not (key.get_secret_value().isascii() and key.get_secret_value().isprintable()):
        raise ValueError("printable ASCII on one line")
    return key


def _realtime_path(path: str) -> str:
    if not re.fullmatch(r"/ws/[A-Za-z0-9._/-]+", path):
        raise ValueError("a path that begins with /ws/ and has only letters, digits and ._/-")
    return path


def _queue_url(url: str) -> str:
    if url and not re.match(r"(rediss?|unix)://", url):
        raise ValueError("redis://, rediss:// or unix://")
    if re.match(r"\w+://[^/@]*:[^/]*@", url):
        raise ValueError("an address without the password: that is JARVIS_BACKEND_QUEUE_PASSWORD")
    return url


ApiKey = Annotated[SecretStr, AfterValidator(_api_key)]


_INTRODUCTION: Final = """\
# Options of the backend

The command line overrides the environment, the environment overrides the credentials of the service
manager, and those override the default. There is no configuration file. `jarvis-backend config`
prints the options in force and the origin of each value.
"""


class BackendSection(BaseModel):
    """Base class: frozen, without unknown names, with docstrings as descriptions."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class SpeechToTextOptions(BackendSection):
    """Speech recognition."""

    engine: Literal["pocketsphinx", "faster-whisper", "vosk", "openai", "wyoming", "none"] = (
        "pocketsphinx"
    )
    """The recogniser. `openai`: any server that offers `/v1/audio/transcriptions`. `wyoming`: a
    speech service of Home Assistant."""
    url: str = ""
    """Address of that server, for example `http://127.0.0.1:8000`; for `wyoming`
    `tcp://127.0.0.1:10300`."""
    model: str = ""
    """Name of the model; for `faster-whisper` one of `jarvis-backend models list` (empty:
    `tiny.en`), for `vosk` a name below the folder of the models, for both the path of a folder."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where `faster-whisper` computes: `auto` takes a GPU if CUDA finds one. With 8-bit integers on
    a CPU, with 16-bit floats on a GPU."""
    threads: int = Field(default=4, ge=1, le=64)
    """Maximum number of CPU threads of `faster-whisper`; no more than this program may use CPUs."""
    language: str = "en"
    """Language of the speaker, if the engine has several."""
    api_key: ApiKey = SecretStr("")
    """Key for the server at `url`."""
    timeout_s: float = Field(default=30.0, ge=1, le=600)
    """Time-out of one utterance, including its wait in the queue. `pocketsphinx` refuses at once
    what it cannot finish by then."""
    processes: int = Field(default=0, ge=0, le=64)
    """Recogniser processes of `pocketsphinx` in each worker; each uses 125 MB. 0: one for each CPU
    that this program may use, at most 4."""
    waiting: int = Field(default=64, ge=0, le=10_000)
    """Maximum number of utterances that wait for one of these processes; more are refused."""
    listeners: int = Field(default=4, ge=0, le=64)
    """Number of utterances that `pocketsphinx` (90 MB each) or `vosk` decodes while they are
    spoken."""


class BrainOptions(BackendSection):
    """Generation of answers."""

    engine: Literal["builtin", "openai", "home-assistant"] = "builtin"
    """`builtin` knows the time, timers, volume, arithmetic and units. `openai`: any server of
    `/v1/chat/completions`. `home-assistant`: Assist of Home Assistant, which can also switch
    things."""
    url: str = ""
    """Address of that server, for example `http://127.0.0.1:11434`; of Home Assistant
    `http://homeassistant.local:8123`."""
    model: str = ""
    """Name of its model; of Home Assistant the conversation agent, empty: its own."""
    language: str = ""
    """Language of the conversation with Home Assistant, for example `en`. Empty: its own."""
    instructions: str = "You are Jarvis, a voice assistant. Answer in one to three short sentences."
    """System prompt of the model."""
    api_key: ApiKey = SecretStr("")
    """Key for the server at `url`; of Home Assistant a long-lived access token."""
    api_key_file: Path | None = None
    """A file that holds this key, readable by its owner only."""
    local_first: bool = True
    """Answer what `builtin` knows without the server: time, timers, volume, arithmetic, "stop"."""
    history: int = Field(default=6, ge=0, le=100)
    """Number of earlier exchanges of a room that `openai` gets with the next question."""
    history_s: float = Field(default=600.0, ge=0, le=86_400)
    """Seconds after the last exchange of a room until its history ends."""
    timeout_s: float = Field(default=60.0, ge=1, le=600)
    """Time-out of one answer, with the tools that it calls."""


class TextToSpeechOptions(BackendSection):
    """Speech synthesis."""

    engine: Literal[
        "auto", "flite", "espeak-ng", "espeak-library", "piper", "openai", "wyoming", "none"
    ] = "auto"
    """The voice. `auto`: the first of flite, espeak-ng and espeak-library that is installed."""
    url: str = ""
    """Address of a server that offers `/v1/audio/speech`, for the engine `openai`; for `wyoming`
    that of a speech service of Home Assistant, `tcp://127.0.0.1:10200`."""
    model: str = ""
    """Name of its model; for `piper` one of `jarvis-backend models list` (empty: `joe`), or the
    path of a voice (`.onnx`)."""
    voice: str = ""
    """Name of the voice. Empty: the default of the engine."""
    api_key: ApiKey = SecretStr("")
    """Key for the server at `url`."""
    timeout_s: float = Field(default=15.0, ge=1, le=600)
    """Time-out of one sentence."""


class Limits(BackendSection):
    """Resources that satellites may use."""

    message_bytes: int = Field(default=5 * 1024 * 1024, ge=64 * 1024, le=64 * 1024 * 1024)
    """Maximum size of a message; a larger one closes the connection."""
    messages_per_s: int = Field(default=200, ge=10, le=100_000)
    """Maximum average rate of messages on one WebSocket; a higher rate closes it."""
    heartbeat_s: float = Field(default=15.0, ge=0.1, le=3600)
    """Interval of WebSocket pings; a client that does not answer within another interval is
    disconnected."""
    guesses_per_min: int = Field(default=10, ge=1, le=10_000)
    """Maximum number of wrong passwords from one address. After half of them in a row, each further
    one adds a delay: 1 s, 2 s, and so on up to 60 s. Logins during the delay are answered with
    429."""
    connections: int = Field(default=64, ge=1, le=10_000)
    """Maximum number of satellites connected to one wire. In all, 8 times as many connections plus
    64 are accepted, half of them from one address."""
    recording_s: float = Field(default=30.0, ge=1, le=600)
    """Maximum duration of a recording; a later chunk ends it."""
    recordings: int = Field(default=64, ge=1, le=10_000)
    """Maximum number of open recordings."""
    recording_bytes: int = Field(default=16 * 1024 * 1024, ge=64 * 1024, le=256 * 1024 * 1024)
    """Maximum size of a recording."""
    recordings_bytes: int = Field(default=64 * 1024 * 1024, ge=64 * 1024, le=1024 * 1024 * 1024)
    """Maximum size of all open recordings together."""
    turns: int = Field(default=4, ge=1, le=64)
    """Maximum number of utterances of one connection that are answered at the same time."""
    utterance_s: float = Field(default=300.0, ge=1, le=3600)
    """Maximum length of an utterance."""
    reply_chars: int = Field(default=4000, ge=1, le=100_000)
    """Maximum length of a spoken reply; the rest is omitted."""
    speakers: int = Field(default=2, ge=1, le=16)
    """Maximum number of sentences of one reply that are synthesised at the same time."""


class Log(BackendSection):
    """Log messages."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """Minimum level of messages."""
    transcripts: bool = False
    """Log the recognised words and the answers. Off: only their number of characters."""


class BackendConfig(BackendSection):
    """All options of the backend."""

    host: str = "127.0.0.1"
    """Address to listen on. Any other than loopback admits other machines, and requires a password
    of at least 8 characters."""
    port: int = Field(default=4000, ge=0, le=65_535)
    """Port to listen on. 0: any free port."""
    password: SecretStr = Field(default=SecretStr(DEFAULT_PASSWORD), min_length=1)
    """Password of the satellites. Never an argument: JARVIS_PASSWORD in the environment."""
    password_hash: Annotated[SecretStr, AfterValidator(_hash)] = SecretStr("")
    """Hash that replaces `password`: the output of `--hash-password`."""
    insecure_password: bool = False
    """Admit other machines even with a weak password."""
    hash_password: bool = False
    """Read a password from standard input, print its hash, and exit."""
    jwt_secret: SecretStr | None = Field(default=None, min_length=SECRET_LETTERS)
    """Key that signs the tokens. Not given: a new one at every start, after which satellites log in
    again."""
    bus_key: SecretStr | None = Field(default=None, min_length=SECRET_LETTERS)
    """Key shared by the clients of the event bus, which sign with it. Not given: no signatures."""
    allow_origins: tuple[str, ...] = ()
    """Origins of other web pages that may connect, for example `https://panel.example`."""
    allow_hosts: tuple[str, ...] = ()
    """Host names of this server, for example `jarvis.local`; addresses and `localhost` are always
    allowed."""
    require_token: bool = False
    """Require a token also from programs on this machine, on wires without a login of their own.
    Enable it behind a proxy, where all clients seem to be on this machine."""
    realtime_path: Annotated[str, AfterValidator(_realtime_path)] = "/ws/realtime"
    """Path of the realtime stream. `/ws/voice` replaces the voice channel."""
    workers: int = Field(default=1, ge=1, le=64)
    """Number of processes that share the port. More than one require a `message_queue`."""
    message_queue: Annotated[str, AfterValidator(_queue_url)] = ""
    """A Redis server that several processes share, for example `redis://127.0.0.1:6379/0` or
    `unix:///run/redis/redis.sock`; `rediss://` on a network. Empty: none."""
    queue_password: SecretStr | None = None
    """Password of that server. Never a part of its address."""
    state_dir: str = ""
    """Folder for models and timers. Empty: that of the service manager (`STATE_DIRECTORY`), else
    `$XDG_STATE_HOME/jarvis-backend`, else `~/.local/state/jarvis-backend`."""
    console: bool = False
    """Serve a page at `/console` that shows the backend and lets people talk to it."""
    companion: bool = False
    """Print the address on standard output, and stop when standard input closes: for a parent
    program."""
    stt: SpeechToTextOptions = SpeechToTextOptions()
    brain: BrainOptions = BrainOptions()
    tts: TextToSpeechOptions = TextToSpeechOptions()
    limits: Limits = Limits()
    log: Log = Log()


def is_loopback(host: str) -> bool:
    """Return whether only this machine can connect to ``host``."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


_SCHEMES: Final = {
    "openai": ("http", "https"),
    "home-assistant": ("http", "https"),
    "wyoming": ("tcp",),
}
"""The schemes of the address of an engine that is a server."""


def _is_address(url: str, schemes: tuple[str, ...]) -> bool:
    try:
        parts = urlsplit(url)
        has_port = bool(parts.port) or "tcp" not in schemes
    except ValueError:  # a port that is not a number, or too large
        return False
    return parts.scheme in schemes and bool(parts.hostname) and has_port


def _mistakes(config: BackendConfig) -> Iterable[str]:
    """Yield a line for each mistake between options."""
    needs_password = not (is_loopback(config.host) or config.insecure_password)
    if needs_password and not config.hash_password and (fault := _password_fault(config)):
        yield (
            f"password: {fault}, and other machines reach {config.host}; expected at least "
            f"{PASSWORD_CHARACTERS} characters in {PASSWORD_VARIABLE} (or the credential "
            "jarvis-password), --host 127.0.0.1, or --insecure-password to allow it"
        )
    if config.workers > 1 and not config.message_queue:
        yield f"workers: given {config.workers}, expected 1 without a message_queue (redis://...)"
    if config.message_queue and config.jwt_secret is None:
        yield "jwt_secret: not given, expected one: all processes of a backend sign with it"
    for name in ("stt", "brain", "tts"):
        section: SpeechToTextOptions | BrainOptions | TextToSpeechOptions = getattr(config, name)
        schemes = _SCHEMES.get(section.engine)
        if schemes and not _is_address(section.url, schemes):
            shown = SCHEMA.by_key[f"{name}.url"].shown(section.url)
            known = " or ".join(f"{scheme}://" for scheme in schemes)
            port = " and a port" if "tcp" in schemes else ""
            yield f"{name}.url: given {shown}, expected {known} and a host{port}"


def _password_fault(config: BackendConfig) -> str:
    """Return why the password is easy to guess. Of a hash, only the worst can be recognised."""
    hashed = config.password_hash.get_secret_value()
    password = config.password.get_secret_value()
    known = Password(password, hashed)
    if known.matches(DEFAULT_PASSWORD) or known.matches(""):
        return "is the public default, or empty"
    if not hashed and len(password) < PASSWORD_CHARACTERS:
        return f"has fewer than {PASSWORD_CHARACTERS} characters"
    return ""


SCHEMA: Final = Schema(
    tree=BackendConfig,
    env_prefix="JARVIS_BACKEND_",
    error=BackendConfigError,
    introduction=_INTRODUCTION,
    short_flags={
        "host": "--host",
        "port": "--port",
        "stt.engine": "--stt.engine",
        "brain.engine": "--brain.engine",
        "tts.engine": "--tts.engine",
        "console": "--console",
        "log.transcripts": "--log.transcripts",
    },
    shared_variables={"password": PASSWORD_VARIABLE},
    empty_is_unset=False,
    credentials={
        "jarvis-password": "password",
        "jarvis-password-hash": "password_hash",
        "jarvis-jwt-secret": "jwt_secret",
        "jarvis-bus-key": "bus_key",
        "jarvis-queue-password": "queue_password",
        "jarvis-stt-api-key": "stt.api_key",
        "jarvis-brain-api-key": "brain.api_key",
        "jarvis-tts-api-key": "tts.api_key",
    },
    secret_files={"brain.api_key": "brain.api_key_file"},
    file_names=("stt.model", "tts.model", "state_dir"),
    placeholders={},
    mistakes=_mistakes,
)


def load(arguments: Sequence[str] = ()) -> BackendConfig:
    """Read the options from all sources. Raises ``BackendConfigError`` with all mistakes."""
    return options.load(SCHEMA, arguments, os.environ).config


def warnings(config: BackendConfig) -> Iterable[str]:
    """Yield a line for each danger of a valid configuration."""
    if not is_loopback(config.host):
        yield f"listening on {config.host}: other machines can reach this backend"
        if config.insecure_password:
            yield "--insecure-password: the password may be easy to guess"


def forget_secrets(environ: MutableMapping[str, str]) -> None:
    """Remove the secrets after reading: the programs that engines start do not need them."""
    for name in (*(option.variable for option in SCHEMA.secrets), PASSWORD_VARIABLE):
        environ.pop(name, None)
