import pytest
from pydantic import ValidationError

from jarvis_ear import config
from jarvis_ear.config import BackendOptions, BusOptions, Config, MicrophoneOptions


def test_the_names_that_the_owner_fixed_are_the_defaults():
    backend = Config().backend
    assert (backend.url, backend.agent_id) == ("http://localhost:4000", "jarvis-ear")
    assert backend.password.get_secret_value() == config.JARVIS_PASSWORD == "jarvis"


def test_no_section_can_be_changed():
    with pytest.raises(ValidationError):
        Config().backend.url = "http://elsewhere"


@pytest.mark.parametrize(
    "url", ["http://localhost:4000", "https://kitchen.example", "http://[::1]:80/", "http://a/ear"]
)
def test_an_address_is_taken(url):
    assert BackendOptions(url=url).url == url


@pytest.mark.parametrize(
    "url",
    [
        "",
        "localhost:4000",
        "ftp://a",
        "http://",
        "http://:4000",
        "http://a:port",
        "http://a:0",
        "http://a:99999",
        "http://[::1",
        "http://name:secret@a",
        "http://a/?token=x",
        "http://a/#part",
        "http://a b",
        "http://a\n",
    ],
)
def test_what_is_no_address_is_refused(url):
    with pytest.raises(ValidationError, match="http:// or https://, a host"):
        BackendOptions(url=url)


def test_an_empty_password_is_no_password():
    with pytest.raises(ValidationError):
        BackendOptions(password="")


@pytest.mark.parametrize("times", ["23:00-07:00", ["23:00", "07:00"], ("23:00", "07:00")])
def test_two_times_of_the_day_can_be_written_in_two_ways(times):
    assert MicrophoneOptions(mute_between=times).mute_between == "23:00-07:00"


def test_no_times_are_no_times():
    assert MicrophoneOptions(mute_between=[]).mute_between == ""


@pytest.mark.parametrize("times", ["23:00", "7:00-8:00", "24:00-07:00", ["07:00", "07:00"], 7])
def test_what_is_no_time_of_the_day_is_refused(times):
    with pytest.raises(ValidationError, match="two different times"):
        MicrophoneOptions(mute_between=times)


@pytest.mark.parametrize("channel", [0, "1", 7, "mix"])
def test_a_channel_is_a_number_or_all_of_them(channel):
    assert MicrophoneOptions(channel=channel).channel == str(channel)


@pytest.mark.parametrize("channel", [-1, 8, "both", ""])
def test_what_is_no_channel_is_refused(channel):
    with pytest.raises(ValidationError, match="a channel from 0 to 7, or mix"):
        MicrophoneOptions(channel=channel)


def test_a_device_may_be_an_expression_but_not_a_broken_one():
    assert MicrophoneOptions(device="/usb.*mic/").device == "/usb.*mic/"
    assert MicrophoneOptions(device="//").device == "//"
    with pytest.raises(ValidationError, match="a regular expression between the slashes"):
        MicrophoneOptions(device="/usb(/")


def test_the_longest_utterance_has_room_for_speech():
    with pytest.raises(ValidationError, match="more than pre_roll_ms and onset_ms"):
        config.EndpointingOptions(max_ms=2000, pre_roll_ms=2000)


def test_a_sentence_is_not_too_old_before_it_is_over():
    patient = config.HearingOptions(endpointing=config.EndpointingOptions(hangover_ms=4500))
    Config(hearing=patient, backend=BackendOptions(fresh_s=6))
    with pytest.raises(ValidationError, match=r"at least 1 s more than .*hangover_ms \(4.5 s\)"):
        Config(hearing=patient, backend=BackendOptions(fresh_s=5))


@pytest.mark.parametrize("path", ["", "/ws/voice", "/house/voice-2/~x_y.z"])
def test_a_path(path):
    assert BackendOptions(path=path).path == path


@pytest.mark.parametrize("path", ["/", "ws", "/ws/", "/a?b", "/a b", "//a", "/%2e"])
def test_no_path(path):
    with pytest.raises(ValidationError, match="begins with /"):
        BackendOptions(path=path)


@pytest.mark.parametrize("url", ["", "ws://localhost:8000/ws", "wss://kitchen.example"])
def test_the_address_of_a_bus(url):
    assert BusOptions(url=url).url == url


@pytest.mark.parametrize("url", ["http://a", "ws://", "ws://name:secret@a", "localhost:8000"])
def test_what_is_no_address_of_a_bus(url):
    with pytest.raises(ValidationError, match="ws:// or wss://, a host"):
        BusOptions(url=url)


@pytest.mark.parametrize("names", ["wake,turn", " wake , turn", ["wake", "turn"], ("wake", "turn")])
def test_what_the_bus_is_told_can_be_written_in_two_ways(names):
    assert BusOptions(publish=names).publish == "wake, turn"
    assert BusOptions(publish=names).news == {"wake", "turn"}


@pytest.mark.parametrize("names", ["", []])
def test_the_bus_is_told_nothing_unless_it_is_named(names):
    assert BusOptions(publish=names).news == frozenset() == BusOptions().news


@pytest.mark.parametrize("names", ["sound", "wake turn", ["wake", ""], 7])
def test_news_that_there_is_not(names):
    with pytest.raises(ValidationError, match="some of wake, transcript, turn"):
        BusOptions(publish=names)
