"""The schema of the ear's options: their names in each source, and what a new value affects."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final, TypeAlias

from jarvis_ear.config import CONFIG_FILE, HOOKS, Config
from jarvis_ear.errors import ConfigError
from jarvis_ear.options import load as options
from jarvis_ear.options.option import Schema, value_of
from jarvis_ear.paths import state_folder, user_config_file

TUNED_FILE: Final = "tuned.toml"
"""Name of the file in the state folder with the options that the console has set."""

Loaded: TypeAlias = options.Loaded[Config]
"""The options in force, and the origin of each value."""


class ReloadTarget(StrEnum):
    """A component that can use a new value while the ear runs."""

    EAR = "ear"
    MICROPHONE = "microphone"
    SPEAKER = "speaker"
    BACKEND = "backend"
    MUTE = "mute"
    BUS = "bus"
    CONSOLE = "console"
    LOG = "log"
    HOOKS = "hooks"
    METRICS = "metrics"
    MQTT = "mqtt"


RELOAD_TARGETS: Final[Mapping[str, ReloadTarget]] = {
    "hearing": ReloadTarget.EAR,
    "microphone.device": ReloadTarget.MICROPHONE,
    "microphone.channel": ReloadTarget.MICROPHONE,
    "microphone.latency_ms": ReloadTarget.MICROPHONE,
    "microphone.stall_ms": ReloadTarget.MICROPHONE,
    "microphone.first_block_ms": ReloadTarget.MICROPHONE,
    "microphone.mute_between": ReloadTarget.MUTE,
    "speaker": ReloadTarget.SPEAKER,
    "speaker.lag_ms": ReloadTarget.EAR,
    "sounds": ReloadTarget.SPEAKER,
    "backend": ReloadTarget.BACKEND,
    "bus": ReloadTarget.BUS,
    "console.transcripts": ReloadTarget.CONSOLE,
    "log.level": ReloadTarget.LOG,
    "log.transcripts": ReloadTarget.LOG,
    "hooks": ReloadTarget.HOOKS,
    "metrics": ReloadTarget.METRICS,
    "mqtt": ReloadTarget.MQTT,
}
"""For an option, or a table with all its options; any other needs a restart."""


def reload_target(key: str) -> ReloadTarget | None:
    """Return the component that uses a new value of this option; None: a restart is needed."""
    parts = key.split(".")
    names = (".".join(parts[:count]) for count in range(len(parts), 0, -1))
    return next((RELOAD_TARGETS[name] for name in names if name in RELOAD_TARGETS), None)


_SHARED_VARIABLES: Final = {
    "backend.url": "BACKEND_URL",
    "backend.password": "JARVIS_PASSWORD",
    "backend.agent_id": "AGENT_ID",
}

_INTRODUCTION: Final = f"""\
# Configuration

Generated from the code by `jarvis-ear config --reference` (`make docs`); a test compares the two.

The command line overrides the environment, the environment overrides the file, and the file
overrides the default. The file is the one that `--config FILE` names; otherwise
`~/.config/jarvis-ear/config.toml` (`$XDG_CONFIG_HOME`), if it exists and belongs to the user who
runs the program, and this is not a system service; otherwise `{CONFIG_FILE}`.
`jarvis-ear config` prints the options in force and the origin of each value.
`{TUNED_FILE}` in the state folder overrides the file: it holds what was stored from the console.

- A switch takes `true` or `false` everywhere; on the command line its name alone means `true`, and
  `--no-` before its name means `false`.
- Where a path is expected, an empty text means none. A leading `~` is the home of the user who runs
  the program, `~name` that of another user.
- On the command line every option may be given once, and a list several times: its items add up.
- A list is an array in the file. Elsewhere its items are separated by commas, or it is a JSON
  array: `--hooks.muted=/usr/local/bin/led,off`, `JARVIS_EAR_HOOKS__MUTED=["led", "a,b"]`.
- {", ".join(f"`{name}`" for name in _SHARED_VARIABLES.values())} work as environment variables too.
  The names with `JARVIS_EAR_` override them, and they count as not set when they are empty.
- The passwords, the token and the keys of the bus and the rooms are never arguments. The
  environment overrides the credentials `jarvis-password`, `jarvis-backend-token`, `jarvis-bus-key`,
  `jarvis-rooms-key` and `jarvis-mqtt-password` of the service manager (`$CREDENTIALS_DIRECTORY`),
  and those override the file.
  A `password_file`, `token_file` or `key_file` ranks like the place that names it. Like a
  configuration file with a secret in it, it must be inaccessible to others (mode 0600) and belong
  to us or to root.
- `systemctl reload jarvis-ear` (SIGHUP) reads everything again. An option whose change is `reload`
  is in force at once, or at the end of the turn in progress; one whose change is `restart` is named
  in the log. If there is any mistake, the whole old configuration stays in force.
- Unknown names are mistakes, also among the variables that begin with `JARVIS_EAR_`. All mistakes
  are listed at once, and the exit status is 78.
"""

SCHEMA: Final = Schema(
    tree=Config,
    env_prefix="JARVIS_EAR_",
    error=ConfigError,
    introduction=_INTRODUCTION,
    short_flags={
        "microphone.device": "--device",
        "microphone.input": "--input",
        "microphone.fast": "--fast",
        "backend.url": "--backend-url",
        "hearing.wake.words": "--wake-model",
        "hearing.wake.threshold": "--threshold",
        "speaker.output_dir": "--output-dir",
        "log.transcripts": "--log-transcripts",
        "log.format": "--log-format",
        "console.port": "--port",
        "with_backend": "--with-backend",
        "backend.wyoming.uri": "--uri",
        "backend.wyoming.allow": "--allow",
    },
    file=CONFIG_FILE,
    written_file=lambda environ: state_folder(environ) / TUNED_FILE,
    user_file=user_config_file,
    user_file_text="~/.config/jarvis-ear/config.toml",
    shared_variables=_SHARED_VARIABLES,
    credentials={
        "jarvis-password": "backend.password",
        "jarvis-backend-token": "backend.token",
        "jarvis-bus-key": "bus.key",
        "jarvis-rooms-key": "rooms.key",
        "jarvis-mqtt-password": "mqtt.password",
    },
    secret_files={
        "backend.password": "backend.password_file",
        "backend.token": "backend.token_file",
        "bus.key": "bus.key_file",
        "rooms.key": "rooms.key_file",
        "mqtt.password": "mqtt.password_file",
    },
    file_names=("microphone.input", "microphone.fallback"),
    placeholders={
        "config": "FILE",
        "microphone.input": "FILE",
        "microphone.device": "NAME",
        "hearing.wake.model": "WORD",
        "hearing.wake.words": "WORD",
        "hearing.wake.stop_model": "FILE",
        "hearing.wake.threshold": "SCORE",
        "backend.wyoming.allow": "ADDRESS[/NET]",
        **{f"hooks.{name}": "PROGRAM,ARGUMENT" for name in HOOKS},
    },
    needs_restart=lambda key: reload_target(key) is None,
)


def load(
    argv: Sequence[str], environ: Mapping[str, str], *, default_file: Path | None = None
) -> Loaded:
    """Read the options of the ear from all sources. Raises ``ConfigError`` with all mistakes."""
    return options.load(SCHEMA, argv, environ, default_file=default_file)


@dataclass(frozen=True, slots=True)
class Change:
    """An option with a new value. It does not hold the value, which may be a secret."""

    key: str
    target: ReloadTarget | None
    """The component that can use the new value; None: a restart is needed."""


def changes(old: Config, new: Config) -> tuple[Change, ...]:
    """Return the options that differ, in the order of the tree."""
    return tuple(
        Change(option.key, reload_target(option.key))
        for option in SCHEMA.options
        if value_of(old, option.key) != value_of(new, option.key)
    )


def joined(listed: Iterable[Change]) -> str:
    """Return the names of changed options on one line."""
    return ", ".join(change.key for change in listed)
