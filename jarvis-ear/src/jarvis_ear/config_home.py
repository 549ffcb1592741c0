"""Options by which other programs of a home see and use the ear: metrics and MQTT."""

import ipaddress
import re
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr

from jarvis_ear.config_checks import server_address
from jarvis_ear.config_hearing import Section


def checked_ip(text: str) -> str:
    """Check an address of this machine; a name would have to be looked up at the start."""
    try:
        return str(ipaddress.ip_address("127.0.0.1" if text == "localhost" else text))
    except ValueError:
        raise ValueError("an IP address, as 127.0.0.1, or localhost") from None


def checked_topic(topic: str) -> str:
    """Check the beginning of MQTT topics: levels between slashes, without wildcards."""
    if not re.fullmatch(r"([A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*)?", topic):
        raise ValueError("letters, digits and ._- of ASCII, with / between levels")
    return topic


class MetricsOptions(Section):
    """Numbers about the ear over HTTP, for Prometheus. `jarvis-ear metrics` prints them too."""

    port: int = Field(default=0, ge=0, le=65_535)
    """Port of `/metrics` and `/healthz`. The service allows 4890 without a change. 0: no port is
    opened."""
    host: Annotated[str, AfterValidator(checked_ip)] = "127.0.0.1"
    """IP address to listen on. With any other address than 127.0.0.1, anyone in the network can
    read when the ear is used; there is no password."""


class MqttOptions(Section):
    """The MQTT broker that gets the state of the ear and sends it commands."""

    url: Annotated[str, server_address("mqtt", "mqtts", is_optional=True)] = ""
    """Address of the broker: `mqtt://` or `mqtts://` (TLS), host and port (1883, or 8883 with TLS,
    unless given). It must speak MQTT 5. Empty: none."""
    user: str = Field(default="", max_length=256)
    """Name for the login at the broker. Empty: none."""
    password: SecretStr = Field(default=SecretStr(""), min_length=1)
    """Password for the login at the broker. Never an argument: environment, credential, or
    `password_file`."""
    password_file: Path | None = None
    """A file that holds the password, readable by its owner only."""
    ca_file: Path | None = None
    """Certificate authority (PEM) of an `mqtts://` broker. Empty: those of the system."""
    allow_plaintext: bool = False
    """Talk unencrypted to a broker on another machine (`mqtt://`): anyone on the network in between
    can read the password and give commands in your name. Off: that is refused."""
    topic: Annotated[str, AfterValidator(checked_topic)] = Field(default="jarvis-ear", min_length=1)
    """First level or levels of the ear's topics; `backend.agent_id` is the next."""
    discovery: Annotated[str, AfterValidator(checked_topic)] = "homeassistant"
    """First level of the topics by which Home Assistant discovers the ear. Empty: no discovery."""
    may_unmute: bool = False
    """Allow the broker to end every mute of the ear. Off: it can only end its own mute."""
    may_listen: bool = False
    """Allow the broker to make the ear listen without the wake word, and offer a button for it."""
    transcripts: bool = False
    """Publish the recognised words and the words of the reply. Off: neither leaves the ear."""
