"""A real MQTT broker (mosquitto) on a port of 127.0.0.1, and a client that watches it."""

import json
import shutil
import subprocess
import threading
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Self

import pytest
from paho.mqtt.client import Client, MQTTMessage, MQTTv5
from paho.mqtt.enums import CallbackAPIVersion

from fakes.tls import Certificate
from fakes.voice_server import free_port, wait_until

PROGRAM: Final = shutil.which("mosquitto", path="/usr/sbin:/usr/bin:/usr/local/sbin")

NEEDS_BROKER: Final = pytest.mark.skipif(PROGRAM is None, reason="mosquitto is not installed")

SOON_S: Final = 10.0


class Broker:
    """Runs mosquitto inside a ``with``; its port stays the same over ``kill`` and ``start``."""

    def __init__(
        self,
        folder: Path,
        *,
        login: tuple[str, str] = ("", ""),
        tls: Certificate | None = None,
    ) -> None:
        self.port = free_port()
        self.login = login
        self._config = folder / "mosquitto.conf"
        lines = [f"listener {self.port} 127.0.0.1", f"allow_anonymous {str(not login[0]).lower()}"]
        if tls is not None:
            lines += [f"certfile {tls.cert}", f"keyfile {tls.key}"]
        if login[0]:
            words = ["mosquitto_passwd", "-b", "-c", str(folder / "passwords"), *login]
            subprocess.run(words, check=True)
            lines.append(f"password_file {folder / 'passwords'}")
        lines.append("user root")
        self._config.write_text("\n".join(lines) + "\n")
        self._process: subprocess.Popen[bytes]

    @property
    def url(self) -> str:
        return f"mqtt://127.0.0.1:{self.port}"

    def start(self) -> None:
        assert PROGRAM is not None
        self._process = subprocess.Popen(
            [PROGRAM, "-c", self._config], stderr=subprocess.PIPE, bufsize=0
        )
        assert self._process.stderr is not None
        for line in self._process.stderr:
            if b"running" in line:
                break
        threading.Thread(target=self._process.stderr.read, daemon=True).start()

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()


class Watcher:
    """A client that gets every message, inside a ``with``. Used by one test."""

    def __init__(self, broker: Broker, filter_: str = "#") -> None:
        self.messages: dict[str, list[str]] = defaultdict(list)
        """The payloads by topic, in order."""
        self.retained: set[str] = set()
        """Topics whose value the broker had kept."""
        self._subscribed = threading.Event()
        self._client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTv5)
        self._client.username_pw_set(*broker.login)
        self._client.on_connect = lambda client, *_: client.subscribe(filter_)
        self._client.on_subscribe = lambda *_: self._subscribed.set()
        self._client.on_message = self._take
        self._port = broker.port

    def _take(self, _client: object, _userdata: object, message: MQTTMessage) -> None:
        if message.retain:
            self.retained.add(message.topic)
        self.messages[message.topic].append(message.payload.decode(errors="replace"))

    def publish(self, topic: str, *payloads: str | bytes, retain: bool = False) -> None:
        """Publish all of them, and wait until the broker has the last one."""
        sent = [self._client.publish(topic, each, qos=1, retain=retain) for each in payloads]
        sent[-1].wait_for_publish(SOON_S)

    def wait(self, topic: str, that: Callable[[Any], bool] = bool) -> Any:
        """Wait until the newest value of a topic is as expected; return it, JSON as its object."""
        wait_until(lambda: self.messages[topic] and that(_value(self.messages[topic][-1])))
        return _value(self.messages[topic][-1])

    def __enter__(self) -> Self:
        self._client.connect("127.0.0.1", self._port)
        self._client.loop_start()
        assert self._subscribed.wait(SOON_S)
        return self

    def __exit__(self, *_: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()


def _value(text: str) -> Any:
    return json.loads(text) if text.startswith("{") else text
