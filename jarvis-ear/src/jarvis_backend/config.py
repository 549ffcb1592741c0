"""Every option of the backend: its type, default, range, unit and meaning, each said once.

From this tree come the command line (``--stt.engine openai``) and the environment
(``JARVIS_BACKEND_STT__ENGINE=openai``); an argument wins. Secrets are never arguments, because
every user of a machine can read the arguments of every program; they may also be credentials of the
service manager, which give way to the environment.
"""

import ipaddress
import os
import re
from collections.abc import Iterable, Iterator, Mapping, MutableMapping, Sequence
from pathlib import Path
from typing import Annotated, Final, Literal, get_args
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    AliasChoices,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
)
from pydantic_settings import (
    BaseSettings,
    CliApp,
    CliSuppress,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

from jarvis_backend.auth import NotAHash, Password
from jarvis_backend.errors import BackendConfigError

CREDENTIALS: Final[Mapping[str, str]] = {
    "jarvis-password": "password",
    "jarvis-password-hash": "password_hash",
    "jarvis-jwt-secret": "jwt_secret",
    "jarvis-bus-key": "bus_key",
    "jarvis-queue-password": "queue_password",
    "jarvis-stt-api-key": "stt.api_key",
    "jarvis-brain-api-key": "brain.api_key",
    "jarvis-tts-api-key": "tts.api_key",
}
"""Which option each of them is; those of a section after its name and a dot."""


def read_credentials(environ: Mapping[str, str]) -> dict[str, object]:
    """Return the options that are credentials. The manager sees to it that nobody else reads them.

    Those of a section stand in a dictionary of their own.

    Raises ``ConfigError`` for one that is there and cannot be used.
    """
    folder = environ.get("CREDENTIALS_DIRECTORY")
    if not folder:
        return {}
    given: dict[str, object] = {}
    for name, option in CREDENTIALS.items():
        if (text := _text(Path(folder, name))) is not None:
            section, _, key = option.rpartition(".")
            given |= {section: {key: text}} if section else {key: text}
    return given


def _text(path: Path) -> str | None:
    try:
        return path.read_text("utf-8-sig").rstrip("\r\n")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise BackendConfigError(
            f"credential {path.name}: cannot be read, expected one line"
        ) from error


ENV_PREFIX: Final = "JARVIS_BACKEND_"
"""Every name in the environment that begins so must be an option."""

PASSWORD_VARIABLE: Final = "JARVIS_PASSWORD"  # noqa: S105 - a name
"""Where the password may stand too, for the ear and the backend alike."""

DEFAULT_PASSWORD: Final = "jarvis"  # noqa: S105 - the public default, refused off loopback
"""What satellites log in with until the owner changes it."""

PASSWORD_CHARACTERS: Final = 8
"""A shorter password is not for a backend that other machines reach (NIST SP 800-63B, 5.1.1)."""

SECRET_LETTERS: Final = 32
"""HS256 signs with 256 bits; a shorter secret is the weakest part of it (RFC 7518, 3.2)."""


LISTS: Final = ("allow_origins", "allow_hosts")
"""Options that may be given several times."""


def _at_home(path: str) -> str:
    """Put a home in the place of ``~`` at the beginning of what may be a path."""
    try:
        return str(Path(path).expanduser()) if path.startswith("~") else path
    except RuntimeError:
        raise ValueError("expected a path: nobody knows the home that its ~ stands for") from None


class BackendSection(BaseModel):
    """What all sections share: frozen, no unknown names, docstrings as descriptions."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class SpeechToTextOptions(BackendSection):
    """What understands."""

    engine: Literal["pocketsphinx", "faster-whisper", "openai", "none"] = "pocketsphinx"
    """`openai` is any server that offers `/v1/audio/transcriptions`."""
    url: str = ""
    """Address of that server, for example `http://127.0.0.1:8000`."""
    model: Annotated[str, AfterValidator(_at_home)] = ""
    """Name of the model, where an engine has several, or its folder. Empty: the engine's usual
    one."""
    language: str = "en"
    """The language that is spoken, where an engine knows several."""
    api_key: CliSuppress[SecretStr] = SecretStr("")
    """Sent to the server at `url`."""
    timeout_s: float = Field(default=30.0, ge=1, le=600)
    """How long one utterance may take, with the wait for its turn. `pocketsphinx` refuses at once
    what could not be understood by then."""
    processes: int = Field(default=0, ge=0, le=64)
    """Processes of `pocketsphinx` that understand utterances, each one at a time, in each of
    `workers`; 125 MB for each. 0: one for each CPU this program may use, at most 4."""
    waiting: int = Field(default=64, ge=0, le=10_000)
    """Utterances that may wait for one of these processes; one more is refused at once."""
    listeners: int = Field(default=4, ge=0, le=64)
    """People whose words `pocketsphinx` follows at once while they speak; 90 MB for each."""


class BrainOptions(BackendSection):
    """What answers."""

    engine: Literal["builtin", "openai"] = "builtin"
    """`builtin` knows the time and the date. `openai` is any server of `/v1/chat/completions`."""
    url: str = ""
    """Address of that server, for example `http://127.0.0.1:11434`."""
    model: str = ""
    """Name of its model."""
    instructions: str = "You are Jarvis, a voice assistant. Answer in one to three short sentences."
    """What the model is told before it is told what was said."""
    api_key: CliSuppress[SecretStr] = SecretStr("")
    """Sent to the server at `url`."""
    timeout_s: float = Field(default=60.0, ge=1, le=600)
    """How long one answer may take."""


class TextToSpeechOptions(BackendSection):
    """What speaks."""

    engine: Literal["auto", "flite", "espeak-ng", "espeak-library", "piper", "openai", "none"] = (
        "auto"
    )
    """`auto`: the first of flite, espeak-ng and espeak-library that is installed."""
    url: str = ""
    """Address of a server that offers `/v1/audio/speech`, for the engine `openai`."""
    model: Annotated[str, AfterValidator(_at_home)] = ""
    """Name of its model; for `piper` the path of the voice (`.onnx`)."""
    voice: str = ""
    """Name of the voice. Empty: the engine's usual one."""
    api_key: CliSuppress[SecretStr] = SecretStr("")
    """Sent to the server at `url`."""
    timeout_s: float = Field(default=15.0, ge=1, le=600)
    """How long one sentence may take."""


class Limits(BackendSection):
    """What a satellite may use of this machine."""

    message_bytes: int = Field(default=5 * 1024 * 1024, ge=64 * 1024, le=64 * 1024 * 1024)
    """Largest message on a wire; at one byte more the connection is closed."""
    messages_per_s: int = Field(default=200, ge=10, le=100_000)
    """Messages one WebSocket of any wire may send, on average; one that sends more is closed."""
    heartbeat_s: float = Field(default=15.0, ge=0.1, le=3600)
    """How often a WebSocket's client is asked whether it lives; one that does not answer for as
    long again is dropped."""
    guesses_per_min: int = Field(default=10, ge=1, le=10_000)
    """Wrong passwords that may come from one address. After half of them in a row each further one
    costs a wait: 1 s, 2 s, and so on up to 60 s. Whoever has to wait is answered with 429."""
    connections: int = Field(default=64, ge=1, le=10_000)
    """Satellites that may be connected to one wire at once. In all, 8 times as many connections and
    64 more are accepted, half of them from one address."""
    recording_s: float = Field(default=30.0, ge=1, le=600)
    """A chunk that arrives later than this after its start ends the recording."""
    recordings: int = Field(default=64, ge=1, le=10_000)
    """Recordings that may be open at once."""
    recording_bytes: int = Field(default=16 * 1024 * 1024, ge=64 * 1024, le=256 * 1024 * 1024)
    """Largest recording."""
    recordings_bytes: int = Field(default=64 * 1024 * 1024, ge=64 * 1024, le=1024 * 1024 * 1024)
    """All open recordings together."""
    turns: int = Field(default=4, ge=1, le=64)
    """Utterances of one connection that may be answered at once."""
    utterance_s: float = Field(default=300.0, ge=1, le=3600)
    """Longest utterance that is understood."""
    reply_chars: int = Field(default=4000, ge=1, le=100_000)
    """Longest reply that is spoken; the rest is left out."""
    speakers: int = Field(default=2, ge=1, le=16)
    """Sentences of one reply that are synthesised at once."""


class Log(BackendSection):
    """What the journal is told."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """The least important kind of line that is written."""
    transcripts: bool = False
    """Write what was understood and answered into the log. Off: only how long it was."""


class BackendConfig(BaseSettings):
    """All options of the backend."""

    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX,
        env_nested_delimiter="__",
        extra="forbid",
        frozen=True,
        use_attribute_docstrings=True,
        populate_by_name=True,
        cli_prog_name="jarvis-backend",
        cli_kebab_case=True,
        cli_implicit_flags=True,
        cli_exit_on_error=False,
        cli_hide_none_type=True,
        cli_avoid_json=True,
    )

    host: str = "127.0.0.1"
    """Address to listen on. Anything but loopback lets other machines in: your decision, and it
    takes a password of at least 8 characters."""
    port: int = Field(default=4000, ge=0, le=65_535)
    """Port to listen on. 0: any that is free."""
    password: CliSuppress[SecretStr] = Field(
        default=SecretStr(DEFAULT_PASSWORD),
        validation_alias=AliasChoices(ENV_PREFIX + "PASSWORD", PASSWORD_VARIABLE),
    )
    """What satellites log in with. Never an argument: JARVIS_PASSWORD in the environment."""
    password_hash: CliSuppress[SecretStr] = SecretStr("")
    """What recognises the password instead of `password`: made by `--hash-password`."""
    insecure_password: bool = False
    """Listen beyond loopback whatever the password is."""
    hash_password: bool = False
    """Read a password from standard input, write what recognises it, and end."""
    jwt_secret: CliSuppress[SecretStr | None] = None
    """Signs the tokens. Empty: a new one at every start, so that satellites log in again."""
    bus_key: CliSuppress[SecretStr | None] = None
    """Shared by the clients of the event bus, who sign with it. Empty: nothing is signed."""
    allow_origins: tuple[str, ...] = ()
    """Web pages of other servers that may connect, for example `https://panel.example`."""
    allow_hosts: tuple[str, ...] = ()
    """Names under which this server is known, for example `jarvis.local`; addresses and `localhost`
    need no permission."""
    require_token: bool = False
    """Ask programs of this machine for a token too, on wires that have no login of their own.
    Switch it on behind a proxy, where everybody seems to be on this machine."""
    realtime_path: str = Field(default="/ws/realtime", pattern=r"^/ws/[A-Za-z0-9._/-]+$")
    """Where the realtime stream stands. At `/ws/voice` it takes the place of the voice channel."""
    workers: int = Field(default=1, ge=1, le=64)
    """Processes that serve the port together. More than one need a `message_queue`."""
    message_queue: str = ""
    """A Redis server that several processes share, for example `redis://127.0.0.1:6379/0` or
    `unix:///run/redis/redis.sock`; `rediss://` on a network. Empty: this process is alone."""
    queue_password: CliSuppress[SecretStr | None] = None
    """What that server asks for. Never a part of its address."""
    console: bool = False
    """Serve a page at `/console` that shows the backend, and through which a person talks to it."""
    companion: bool = False
    """Print the address on standard output, and stop when standard input closes: for a program
    that starts this one and shall not be outlived by it."""
    stt: SpeechToTextOptions = SpeechToTextOptions()
    brain: BrainOptions = BrainOptions()
    tts: TextToSpeechOptions = TextToSpeechOptions()
    limits: Limits = Limits()
    log: Log = Log()

    @classmethod
    def settings_customise_sources(  # type: ignore[override]  # the other sources are not used
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        **_others: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Rank the sources: arguments, environment, credentials."""
        kept = InitSettingsSource(settings_cls, read_credentials(os.environ))
        return (init_settings, env_settings, kept)


def load(arguments: Sequence[str] | None = None) -> BackendConfig:
    """Read the options, or raise a ConfigError that lists everything that is wrong with them.

    With ``arguments`` None the command line is left alone and only the environment counts.
    """
    _refuse_secrets(arguments or ())
    problems = [*_strays(os.environ), *_repeated(arguments or ())]
    try:
        config = (
            BackendConfig() if arguments is None else CliApp.run(BackendConfig, list(arguments))
        )
        problems += _weak(config)
    except ValidationError as error:
        problems += [_said(problem) for problem in error.errors(include_input=False)]
    except SettingsError as error:
        problems.append(str(error).splitlines()[0])
    if problems:
        raise BackendConfigError("\n".join(problems))
    return config


def forget_secrets(environ: MutableMapping[str, str]) -> None:
    """Remove the secrets, once they have been read: the programs that engines start need none."""
    ours = {ENV_PREFIX + option.replace(".", "__").upper() for option in secrets()}
    for name in list(environ):
        if name.upper() in ours | {PASSWORD_VARIABLE}:  # options are read in any case
            del environ[name]


def secrets(options: type[BaseModel] = BackendConfig, inside: str = "") -> Iterator[str]:
    """Names of the options that are secret, those of a section after its name and a dot."""
    for name, option in options.model_fields.items():
        kind = option.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from secrets(kind, f"{inside}{name}.")
        elif kind is SecretStr or SecretStr in get_args(kind):
            yield inside + name


def _refuse_secrets(arguments: Iterable[str]) -> None:
    """Stop at an argument that is, or shortens, or as a JSON section could hold, a secret."""
    flags = ["--" + name.replace("_", "-") for name in secrets()]
    for argument in arguments:
        flag = argument.partition("=")[0].replace("_", "-")
        if len(flag) > len("--") and any(name.startswith(flag) for name in flags):
            raise BackendConfigError(
                f"{flag}: secrets are never arguments; expected in the environment"
            )


def _repeated(arguments: Iterable[str]) -> Iterator[str]:
    """Name the options that are given more than once, except lists; the last would win unseen."""
    given: set[str] = set()
    for argument in arguments:
        name = argument.partition("=")[0].replace("_", "-").removeprefix("--")
        is_flag = argument.startswith("--")
        name = name.removeprefix("no-")
        if not is_flag or name.replace("-", "_") in LISTS:
            continue
        if name in given:
            yield f"--{name}: given twice, expected once: nobody could tell which one counts"
        given.add(name)


def _strays(names: Iterable[str]) -> Iterable[str]:
    """Names that look like ours and are none: most often a typing error."""
    for name in names:
        option = name.removeprefix(ENV_PREFIX).partition("__")[0].lower()
        if name.startswith(ENV_PREFIX) and option not in BackendConfig.model_fields:
            yield f"{name}: there is no such option; see jarvis-backend --help"


def _weak(config: BackendConfig) -> Iterable[str]:
    secret = config.jwt_secret
    if secret is not None and len(secret.get_secret_value()) < SECRET_LETTERS:
        yield f"jwt_secret: expected at least {SECRET_LETTERS} letters"
    if config.bus_key is not None and len(config.bus_key.get_secret_value()) < SECRET_LETTERS:
        yield f"bus_key: expected at least {SECRET_LETTERS} letters"
    if not config.password.get_secret_value():
        yield "password: is empty, expected at least one letter"
    try:
        Password("", config.password_hash.get_secret_value())
    except NotAHash:
        yield "password_hash: expected what `jarvis-backend --hash-password` writes"
    yield from _guessable(config)
    yield from _unshared(config)
    for name in ("stt", "brain", "tts"):
        options: SpeechToTextOptions | BrainOptions | TextToSpeechOptions = getattr(config, name)
        if options.engine == "openai" and not re.match(r"https?://[^/]", options.url):
            yield f"{name}.url: {options.url!r}, expected http:// or https:// and a host"
        key = options.api_key.get_secret_value()
        if not (key.isascii() and key.isprintable()):
            yield f"{name}.api_key: expected printable ASCII on one line"


def _guessable(config: BackendConfig) -> Iterable[str]:
    """Name a password that other machines would find out. Of a hash only the worst are known."""
    if is_loopback(config.host) or config.insecure_password or config.hash_password:
        return
    hashed = config.password_hash.get_secret_value()
    password = config.password.get_secret_value()
    try:
        known = Password(password, hashed)
    except NotAHash:
        return  # told already
    if known.matches(DEFAULT_PASSWORD) or known.matches(""):
        fault = "is the public default, or empty"
    elif not hashed and len(password) < PASSWORD_CHARACTERS:
        fault = f"has under {PASSWORD_CHARACTERS} characters"
    else:
        return
    yield (
        f"password: {fault}, and other machines reach {config.host}; expected at least "
        f"{PASSWORD_CHARACTERS} characters in JARVIS_PASSWORD (or the credential jarvis-password), "
        "--host 127.0.0.1, or --insecure-password if you insist"
    )


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches what listens on ``host``."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _unshared(config: BackendConfig) -> Iterable[str]:
    """Name what several processes lack to be one backend."""
    if not config.message_queue:
        if config.workers > 1:
            yield f"workers: {config.workers}, expected 1 without a message_queue (redis://...)"
        return
    if not re.match(r"(rediss?|unix)://", config.message_queue):
        yield "message_queue: expected redis://, rediss:// or unix://"
    elif urlsplit(config.message_queue).password is not None:
        yield f"message_queue: holds a password, expected it in {ENV_PREFIX}QUEUE_PASSWORD"
    if config.jwt_secret is None:
        yield "jwt_secret: is empty, expected one: processes of one backend know the same tokens"


def _said(problem: object) -> str:
    """One line that names the option, without the value (it may be a secret)."""
    location = ".".join(str(part) for part in problem["loc"])  # type: ignore[index]
    return f"{location}: {problem['msg']}"  # type: ignore[index]
