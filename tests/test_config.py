"""The tree of the ear's options: accepted and refused values, and contradictions."""

import pytest
from pydantic import ValidationError

from jarvis_ear import config
from jarvis_ear.config import (
    BackendOptions,
    BusOptions,
    Config,
    HookOptions,
    MicrophoneOptions,
    WyomingOptions,
)
from jarvis_ear.config_checks import MAX_ARGUMENT_LENGTH


def test_the_defaults_are_those_of_the_owner_and_cannot_be_changed():
    backend = Config().backend
    assert (backend.url, backend.agent_id) == ("http://localhost:4000", "jarvis-ear")
    assert backend.password.get_secret_value() == config.JARVIS_PASSWORD == "jarvis"
    with pytest.raises(ValidationError):
        Config().backend.url = "http://elsewhere"


URLS = ["http://localhost:4000", "https://kitchen.example", "http://[::1]:80/", "http://a/ear"]
PUBLISH = ["wake,turn", " wake , turn", ["wake", "turn"], ("wake", "turn")]
HOURS = ["23:00-07:00", ["23:00", "07:00"], ("23:00", "07:00")]
PROGRAMS = [(), ("/bin/led",), ("led", "", "a b", "$x"), ("led", "x" * (MAX_ARGUMENT_LENGTH - 3))]
HOOK_URLS = ["", "http://10.0.0.7/json/state", "https://home.example:8123/api/webhook/x"]
ACCEPTED = [
    *((BackendOptions, "url", url, url) for url in URLS),
    *((BackendOptions, "path", path, path) for path in ("", "/ws/voice", "/ho/v-2/~x_y.z")),
    *((BusOptions, "url", url, url) for url in ("", "ws://localhost:1/ws", "wss://a.example")),
    *((BusOptions, "publish", given, "wake, turn") for given in PUBLISH),
    *((BusOptions, "publish", nothing, "") for nothing in ("", [])),
    *((MicrophoneOptions, "mute_between", given, "23:00-07:00") for given in HOURS),
    (MicrophoneOptions, "mute_between", [], ""),
    *((MicrophoneOptions, "channel", given, str(given)) for given in (0, "1", 7, "mix")),
    *((HookOptions, "idle", words, words) for words in PROGRAMS),
    *((HookOptions, "url", url, url) for url in HOOK_URLS),
    *((MicrophoneOptions, "device", given, given) for given in ("/usb.*mic/", "//")),
    *((WyomingOptions, "uri", uri, uri) for uri in ("tcp://0.0.0.0:1", "tcp://[::1]:10700")),
    (WyomingOptions, "allow", ("10.0.0.7", "fe80::/10"), ("10.0.0.7", "fe80::/10")),
]


@pytest.mark.parametrize(("section", "name", "given", "value"), ACCEPTED)
def test_a_value_is_accepted(section, name, given, value):
    assert getattr(section(**{name: given}), name) == value


NO_ADDRESSES = [
    *("", "localhost:4000", "ftp://a", "http://", "http://:4000", "http://a:port", "http://a:0"),
    *("http://a:99999", "http://[::1", "http://name:secret@a", "http://a/?token=x"),
    *("http://a/#part", "http://a b", "http://a\n"),
]
NO_WEBSOCKETS = ["http://a", "ws://", "ws://name:secret@a", "localhost:8000"]
NO_HOURS = ["23:00", "7:00-8:00", "24:00-07:00", ["07:00", "07:00"], 7]
NO_LISTENING = ["", "localhost:1", "tcp://localhost", "tcp://a:0", "tcp://a:1/x", "tcp://a:99999"]
NO_PROGRAMS = [("",), ("./led",), ("~/led",), ("led", "a\0b"), ("led", "x" * MAX_ARGUMENT_LENGTH)]
REFUSED = [
    (BackendOptions, "url", "http:// or https://, a host", NO_ADDRESSES),
    (BackendOptions, "path", "begins with /", ["/", "ws", "/ws/", "/a?b", "/a b", "//a", "/%2e"]),
    (BackendOptions, "password", "at least 1", [""]),
    (BusOptions, "url", "ws:// or wss://, a host", NO_WEBSOCKETS),
    (BusOptions, "publish", "of wake, transcript, turn", ["sound", "wake turn", ["wake", ""], 7]),
    (HookOptions, "wake", "a program .an absolute path, or a name. and its arg", NO_PROGRAMS),
    (HookOptions, "url", "http:// or https://, a host", NO_ADDRESSES[1:]),
    (MicrophoneOptions, "mute_between", "two different times", NO_HOURS),
    (MicrophoneOptions, "channel", "a channel from 0 to 7, or mix", [-1, 8, "both", ""]),
    (MicrophoneOptions, "device", "a regular expression between the slashes", ["/usb(/"]),
    (WyomingOptions, "uri", "tcp://, an address of this machine and a port", NO_LISTENING),
    (WyomingOptions, "allow", "addresses or networks", [("home",), ("192.168.1.7/24",)]),
]


@pytest.mark.parametrize(
    ("section", "name", "expected", "given"),
    [(*what, given) for *what, values in REFUSED for given in values],
)
def test_a_value_is_refused_with_what_was_expected(section, name, expected, given):
    with pytest.raises(ValidationError, match=expected):
        section(**{name: given})


def test_the_events_to_publish_are_a_set():
    assert BusOptions(publish="wake,turn").news == {"wake", "turn"}
    assert BusOptions(publish="").news == frozenset() == BusOptions().news


def test_the_programs_of_hooks_are_those_that_are_given():
    assert HookOptions(idle=("led", "off"), url="http://a").programs == {"idle": ("led", "off")}
    names = "wake listening capturing thinking speaking idle muted deaf failed"
    assert list(config.HOOKS) == names.split()


def test_values_that_contradict_each_other_are_refused():
    with pytest.raises(ValidationError, match="more than pre_roll_ms and onset_ms"):
        config.EndpointingOptions(max_ms=2000, pre_roll_ms=2000)
    patient = config.HearingOptions(endpointing=config.EndpointingOptions(hangover_ms=4500))
    Config(hearing=patient, backend=BackendOptions(fresh_s=6))
    with pytest.raises(ValidationError, match=r"at least 1 s more than .*hangover_ms \(4.5 s\)"):
        Config(hearing=patient, backend=BackendOptions(fresh_s=5))


def test_a_satellite_knows_who_may_connect_and_has_no_companion():
    open_to_all = WyomingOptions(uri="tcp://0.0.0.0:10700")
    with pytest.raises(ValidationError, match="expected the address of Home Assistant"):
        Config(backend=BackendOptions(wyoming=open_to_all))
    known = open_to_all.model_copy(update={"allow": ("10.0.0.7",)})
    Config(backend=BackendOptions(protocol="wyoming", wyoming=known))
    with pytest.raises(ValidationError, match="with_backend: expected false"):
        Config(backend=BackendOptions(protocol="wyoming"), with_backend=True)
