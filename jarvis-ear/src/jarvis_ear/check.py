"""Check: whether a configuration can be used, and warnings about it."""

from collections.abc import Callable, Iterator
from pathlib import Path

from jarvis_ear.backend import session_of
from jarvis_ear.bus.client import refuse_plaintext
from jarvis_ear.config import AGENT_ID, JARVIS_PASSWORD, Config, MicrophoneOptions
from jarvis_ear.delivery.timeouts import Timing
from jarvis_ear.devices.openwakeword import OpenWakeWord
from jarvis_ear.devices.selection import names_a_number
from jarvis_ear.devices.sound_files import load_sounds
from jarvis_ear.devices.sources import mistake_in
from jarvis_ear.errors import ConfigError
from jarvis_ear.hooks.receivers import missing_programs
from jarvis_ear.link.tls_and_tcp import address, is_exposed
from jarvis_ear.options.verbs import check_report
from jarvis_ear.schema import Loaded


def check(loaded: Loaded) -> str:
    """Return the output of the verb check; or raise ``ConfigError`` with all mistakes."""
    found = list(mistakes(loaded))
    if found:
        raise ConfigError("\n".join(found))
    return check_report(dangers(loaded.config))


def mistakes(loaded: Loaded) -> Iterator[str]:
    """Run the checks of the ear's start; each error message begins with the option's name."""
    config = loaded.config
    stop = config.hearing.wake.stop_model
    tries: tuple[Callable[[], object], ...] = (
        lambda: session_of(config.backend, Timing()),
        lambda: refuse_plaintext(config.bus),
        lambda: _require_model("model", config.hearing.wake.model),
        lambda: _require_model("stop_model", stop) if stop else None,
        lambda: load_sounds(config.sounds),
    )
    for attempt in tries:
        try:
            attempt()
        except ConfigError as error:
            key = str(error).partition(":")[0]
            yield f"{loaded.origins[key]}: {error}"


def _require_model(option: str, model: Path | None) -> None:
    if model is not None and not model.is_file():
        raise ConfigError(f"hearing.wake.{option}: {model} is not a file, expected an .onnx model")
    try:
        OpenWakeWord(model)
    except ConfigError as error:
        raise ConfigError(f"hearing.wake.{option}: {' '.join(str(error).split())}") from error


def dangers(config: Config) -> Iterator[str]:
    """Yield what works but is dangerous, each as a text that names the option."""
    backend, bus = config.backend, config.bus
    yield from _microphone_dangers(config.microphone)
    if is_exposed(backend.url):
        yield f"password and voice go to {address(backend.url)} unencrypted: use https"
    known = backend.password.get_secret_value() == JARVIS_PASSWORD
    if known and not backend.token.get_secret_value() and not config.with_backend:
        yield "backend.password is still the public default"
    if backend.delivery == "at_least_once":
        yield "backend.delivery = at_least_once: a command may run twice"
    if bus.url and not bus.key.get_secret_value():
        yield "bus.key is not given: every client of the bus can switch the microphone"
    if bus.url and bus.may_unmute:
        yield "bus.may_unmute: the bus can open a microphone that you have closed"
    if bus.url and bus.may_listen:
        yield "bus.may_listen: the bus can have the ear listen without the wake word"
    if config.rooms.group and backend.agent_id == AGENT_ID:
        yield f"backend.agent_id is still {AGENT_ID}: each ear of rooms.group needs its own"
    if is_exposed(config.hooks.url):
        yield f"hooks.url: {address(config.hooks.url)} is told unencrypted when the ear is used"
    yield from (f"hooks.{name}: {reason}" for name, reason in missing_programs(config.hooks))
    if config.log.transcripts:
        yield "log.transcripts: the log contains what people say"


def _microphone_dangers(microphone: MicrophoneOptions) -> Iterator[str]:
    """Warn why the microphone may not be found; a missing device may still be plugged in."""
    wanted = microphone.device
    if not wanted or microphone.input:
        return
    if names_a_number(wanted):
        yield (
            f"microphone.device = {wanted} names a card by its number, which depends on "
            "the order of plugging in: jarvis-ear devices shows its permanent name"
        )
    if mistake := mistake_in(wanted):
        yield f"microphone.device: {mistake}"
