"""Checks of option values: each returns the value, or raises ValueError with what was expected.

pydantic calls them; ``options`` adds the name of the option and what was given.
"""

import ipaddress
import re
from typing import Final
from urllib.parse import urlsplit

from pydantic import AfterValidator, SecretStr

CHANNELS: Final = ("mix", *"01234567")
"""The values of `microphone.channel`."""

NEWS: Final = ("wake", "transcript", "turn")
"""The items of `bus.publish`."""

MAX_ARGUMENT_LENGTH: Final = 4096
"""Maximum characters of a program and its arguments: more than a person writes."""


def checked_device(name: str) -> str:
    """Check a name of a device, or a regular expression between slashes."""
    slashed = re.fullmatch("/(.+)/", name)
    try:
        re.compile(slashed[1] if slashed else "")
    except re.error:
        raise ValueError("a regular expression between the slashes") from None
    return name


def checked_channel(channel: object) -> object:
    """Check a channel of a microphone."""
    if str(channel) not in CHANNELS:
        raise ValueError("a channel from 0 to 7, or mix")
    return str(channel)


def checked_hours(times: object) -> object:
    """Check a period of the day, given as text or as two times."""
    text = "-".join(map(str, times)) if isinstance(times, list | tuple) else str(times)
    begin, _, end = text.partition("-")
    time = r"([01]\d|2[0-3]):[0-5]\d"
    if text and not (re.fullmatch(f"{time}-{time}", text) and begin != end):
        raise ValueError('two different times, as "23:00-07:00"')
    return text


def server_address(*schemes: str, is_optional: bool = False) -> AfterValidator:
    """Return a check of the address of a server, without parts that a log must not show."""

    def require(url: str) -> str:
        if not (is_optional and not url) and not _is_address(url, schemes):
            known = " or ".join(f"{scheme}://" for scheme in schemes)
            raise ValueError(f"{known}, a host and a port, without a name or password")
        return url

    return AfterValidator(require)


def listening_address(uri: str) -> str:
    """Check an address to listen on, as Wyoming programs write it."""
    try:
        has_port = bool(urlsplit(uri).port)
    except ValueError:
        has_port = False
    if not (has_port and _is_address(uri, ("tcp",)) and not urlsplit(uri).path):
        raise ValueError("tcp://, an address of this machine and a port, as tcp://127.0.0.1:10700")
    return uri


def is_on_loopback(uri: str) -> bool:
    """Whether only this machine can connect to an address to listen on."""
    host = urlsplit(uri).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def checked_networks(networks: tuple[str, ...]) -> tuple[str, ...]:
    """Check addresses and networks of machines."""
    try:
        for each in networks:
            ipaddress.ip_network(each)
    except ValueError:
        raise ValueError("addresses or networks, as 192.168.1.20,192.168.7.0/24") from None
    return networks


def _is_address(url: str, schemes: tuple[str, ...]) -> bool:
    try:
        parts = urlsplit(url)
        known = parts.scheme in schemes and parts.port != 0
    except ValueError:  # brackets that do not match, a port that is not a number
        return False
    surplus = parts.query or parts.fragment or "@" in parts.netloc
    return bool(known and parts.hostname and url.isprintable() and " " not in url and not surplus)


def checked_token(token: SecretStr) -> SecretStr:
    """Check a token, which has to fit into a header of HTTP."""
    if not re.fullmatch(r"[!-~]{0,8192}", token.get_secret_value()):
        raise ValueError("letters, digits and signs of ASCII, without spaces")
    return token


def checked_path(path: str) -> str:
    """Check a path of a URL."""
    if not re.fullmatch(r"(/[A-Za-z0-9._~-]+)*", path):
        raise ValueError("a path that begins with / and has only letters, digits and ._~-")
    return path


def checked_phrases(given: object) -> object:
    """Check phrases, given as text with commas or as a list; repetitions are left out."""
    parts = given if isinstance(given, list | tuple) else str(given).split(",")
    phrases = [" ".join(str(part).split()) for part in parts]
    if not all(phrase.isprintable() and "," not in phrase for phrase in phrases):
        raise ValueError("phrases of printable letters, separated by commas")
    return ", ".join(dict.fromkeys(filter(None, phrases)))


def checked_news(given: object) -> object:
    """Check events of the bus, given as text with commas or as a list."""
    parts = given if isinstance(given, list | tuple) else str(given).split(",")
    names = [str(part).strip() for part in parts]
    if names != [""] and not set(names) <= set(NEWS):
        raise ValueError(f"some of {', '.join(NEWS)}")
    return ", ".join(dict.fromkeys(names))


def checked_program(words: tuple[str, ...]) -> tuple[str, ...]:
    """Check a program and its arguments."""
    name = words[0] if words else "none"
    is_named = name.startswith("/") or (name and "/" not in name)
    is_bounded = sum(map(len, words)) <= MAX_ARGUMENT_LENGTH
    if not is_named or not is_bounded or any("\0" in word for word in words):
        raise ValueError('a program (an absolute path, or a name) and its arguments, as ["a", "b"]')
    return words
