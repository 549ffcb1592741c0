"""The composition root: what there is, who is started after whom, and who stops first.

Start and stop are the same list, read down and up. Nothing here decides anything about a turn.
"""

import os

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # before anything can import onnxruntime

import logging
import secrets
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from types import FrameType
from typing import Final

from pydantic import SecretStr

from jarvis_ear import cli, config
from jarvis_ear.audio.level import level
from jarvis_ear.backend import BackendClient
from jarvis_ear.bridge import Bridge
from jarvis_ear.companion import Companion
from jarvis_ear.devices import listing
from jarvis_ear.devices.capture import Capture
from jarvis_ear.devices.openwakeword import OpenWakeWord
from jarvis_ear.devices.silero import Silero
from jarvis_ear.devices.source import Source, make_source
from jarvis_ear.devices.speaker import Speaker
from jarvis_ear.devices.webrtc_vad import WebRtcVad
from jarvis_ear.ear_thread import EarThread
from jarvis_ear.hearing.ear import Ear
from jarvis_ear.hearing.events import MicrophoneFound, MicrophoneLost
from jarvis_ear.hearing.turns import TurnMachine
from jarvis_ear.options import Loaded
from jarvis_ear.system import logs
from jarvis_ear.system.inbox import Inbox
from jarvis_ear.system.live import Live
from jarvis_ear.system.turn_log import TurnLog

LOOK_S: Final = 0.1
"""How often the main thread looks up: the live line is redrawn so often, and a signal is seen."""

_LOGGER = logging.getLogger("jarvis_ear")


def main() -> int:
    """Run the command line."""
    return cli.main(run=run)


def run(loaded: Loaded) -> int:
    """Hear until told to stop, or until the file is over and its last turn is finished."""
    with ExitStack() as up:
        live = up.enter_context(logs.setup(loaded.config.log))
        ending = up.enter_context(Ending())
        options = _with_companion(loaded.config, up)
        inbox = Inbox()
        ear, capture = _compose(options, inbox, ending, up)
        up.enter_context(capture)
        _LOGGER.info("say %r", "hey jarvis") if options.hearing.wake.model is None else None
        while not ending.wait(LOOK_S):
            live.show(ear.state, level(ear.last_frame), ear.score)
    return ending.status()
