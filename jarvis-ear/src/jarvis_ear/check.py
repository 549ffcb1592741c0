"""Check: whether a configuration can be used, and warnings about it."""

import ipaddress
import stat
from collections.abc import Callable, Iterator
from functools import partial

from jarvis_ear.backend import session_of
from jarvis_ear.bus.client import refuse_plaintext
from jarvis_ear.config import (
    AGENT_ID,
    JARVIS_PASSWORD,
    SHIPPED_WORDS,
    BackendOptions,
    Config,
    MicrophoneOptions,
    WakeOptions,
)
from jarvis_ear.config_checks import is_on_loopback
from jarvis_ear.delivery.timeouts import Timing
from jarvis_ear.devices.micro_wake_word import SmallModel
from jarvis_ear.devices.openwakeword import OpenWakeWord, model_of
from jarvis_ear.devices.selection import names_a_number
from jarvis_ear.devices.sound_files import load_sounds
from jarvis_ear.devices.sources import mistake_in
from jarvis_ear.errors import ConfigError
from jarvis_ear.hooks.receivers import missing_programs
from jarvis_ear.link.tls_and_tcp import TrustStore, address, is_exposed
from jarvis_ear.mqtt.client import require_usable
from jarvis_ear.options.render import check_report
from jarvis_ear.paths import kind_of
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
    tries: tuple[Callable[[], object], ...] = (
        lambda: session_of(config.backend, Timing()),
        lambda: refuse_plaintext(config.bus),
        lambda: require_usable(config.mqtt),
        lambda: TrustStore(config.mqtt.ca_file, config.mqtt.url, "mqtt.ca_file"),
        *(partial(_require_model, option, word) for option, word in _models(config.hearing.wake)),
        lambda: _require_small_models(config.hearing.wake),
        lambda: load_sounds(config.sounds, config.hearing.wake.all_words),
    )
    for attempt in tries:
        try:
            attempt()
        except ConfigError as error:
            key = str(error).partition(":")[0]
            yield f"{loaded.origins[key]}: {error}"


def _models(wake: WakeOptions) -> Iterator[tuple[str, str]]:
    """Return the option and the model of each word."""
    option = "words" if wake.words else "model"
    yield from ((option, word.model) for word in wake.all_words)
    if wake.stop_model is not None:
        yield "stop_model", str(wake.stop_model)


def _require_model(option: str, model: str) -> None:
    if kind_of(model_of(model)) != stat.S_IFREG:
        expected = f"expected an .onnx model, or one of {', '.join(SHIPPED_WORDS)}"
        raise ConfigError(f"hearing.wake.{option}: {model} is not a file, {expected}")
    try:
        OpenWakeWord((model,))
    except ConfigError as error:
        raise ConfigError(f"hearing.wake.{option}: {' '.join(str(error).split())}") from error


def _require_small_models(wake: WakeOptions) -> None:
    for word in wake.all_words if wake.effort == "light" else ():
        SmallModel(word.model)


def dangers(config: Config) -> Iterator[str]:
    """Yield what works but is dangerous, each as a text that names the option."""
    backend, bus = config.backend, config.bus
    yield from _microphone_dangers(config.microphone)
    is_satellite = backend.protocol == "wyoming"
    yield from _satellite_dangers(backend) if is_satellite else _server_dangers(config)
    if backend.delivery == "at_least_once":
        yield "backend.delivery = at_least_once: a command may run twice"
    if bus.url and not bus.key.get_secret_value():
        yield "bus.key is not given: every client of the bus can switch the microphone"
    if bus.url and bus.may_unmute:
        yield "bus.may_unmute: the bus can open a microphone that you have closed"
    if bus.url and bus.may_listen:
        yield "bus.may_listen: the bus can make the ear listen without the wake word"
    yield from _home_dangers(config)
    if config.rooms.group and backend.agent_id == AGENT_ID:
        yield f"backend.agent_id is still {AGENT_ID}: each ear of rooms.group needs its own"
    if is_exposed(config.hooks.url):
        yield f"hooks.url: {address(config.hooks.url)} learns unencrypted when the ear is used"
    yield from (f"hooks.{name}: {reason}" for name, reason in missing_programs(config.hooks))
    if config.log.transcripts:
        yield "log.transcripts: the log contains what people say"


def _home_dangers(config: Config) -> Iterator[str]:
    """Warn of what other programs in the home, or in the network, can see and do."""
    metrics, mqtt = config.metrics, config.mqtt
    if metrics.port and not ipaddress.ip_address(metrics.host).is_loopback:
        yield f"metrics.host: everybody who reaches {metrics.host} can read when the ear is used"
    if mqtt.url and not mqtt.user:
        yield "mqtt.user is not given: does every client of the broker control the ear?"
    if mqtt.url and mqtt.may_unmute:
        yield "mqtt.may_unmute: the broker can open a microphone that you have closed"
    if mqtt.url and mqtt.may_listen:
        yield "mqtt.may_listen: the broker can make the ear listen without the wake word"
    if mqtt.url and mqtt.transcripts:
        yield "mqtt.transcripts: every client of the broker can read what people say"


def _server_dangers(config: Config) -> Iterator[str]:
    """Warn about a backend that the ear connects to."""
    backend = config.backend
    if is_exposed(backend.url):
        yield f"password and voice go to {address(backend.url)} unencrypted: use https"
    known = backend.password.get_secret_value() == JARVIS_PASSWORD
    if known and not backend.token.get_secret_value() and not config.with_backend:
        yield "backend.password is still the public default"


def _satellite_dangers(backend: BackendOptions) -> Iterator[str]:
    """Warn about a backend that connects to the ear."""
    if not is_on_loopback(backend.wyoming.uri):
        yield f"voice and replies pass {backend.wyoming.uri} unencrypted: Wyoming has no encryption"


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
