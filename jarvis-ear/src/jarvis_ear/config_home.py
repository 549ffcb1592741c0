"""Options by which other programs of a home see and use the ear: metrics."""

import ipaddress
from typing import Annotated

from pydantic import AfterValidator, Field

from jarvis_ear.config_hearing import Section


def checked_ip(text: str) -> str:
    """Check an address of this machine; a name would have to be looked up at the start."""
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        raise ValueError("an IP address, as 127.0.0.1") from None


class MetricsOptions(Section):
    """Numbers about the ear over HTTP, for Prometheus. `jarvis-ear metrics` prints them too."""

    port: int = Field(0, ge=0, le=65_535)
    """Port of `/metrics` and `/healthz`. The service allows 4890 without a change. 0: the ear
    listens on none."""
    host: Annotated[str, AfterValidator(checked_ip)] = "127.0.0.1"
    """IP address to listen on. With any other than this machine's own 127.0.0.1, everybody in the
    network can read when the ear is used; there is no password."""
