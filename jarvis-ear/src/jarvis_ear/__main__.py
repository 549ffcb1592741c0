"""The composition root: what there is, who is started after whom, and who stops first.

Start and stop are the same list, read down and up. Nothing here decides anything about a turn.
"""

import os

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # before anything can import onnxruntime

import faulthandler
import logging
import secrets
import sys
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Final

from pydantic import SecretStr

from jarvis_ear import cli, config
from jarvis_ear.audio.level import level
from jarvis_ear.backend import BackendClient
from jarvis_ear.bridge import Bridge, Watcher
from jarvis_ear.bus_news import BusNews
from jarvis_ear.companion import Companion
from jarvis_ear.devices.capture import Capture
from jarvis_ear.devices.microphone import Microphone
from jarvis_ear.devices.openwakeword import OpenWakeWord
from jarvis_ear.devices.silero import Silero
from jarvis_ear.devices.source import Source, make_source, why_deaf
from jarvis_ear.devices.speaker import Speaker
from jarvis_ear.devices.webrtc_vad import WebRtcVad
from jarvis_ear.ear_thread import EarThread
from jarvis_ear.ending import Ending
from jarvis_ear.errors import DeviceError, JarvisEarError
from jarvis_ear.hearing.ear import Ear
from jarvis_ear.hearing.events import MicrophoneFound, MicrophoneLost, Muted, State, Unmuted
from jarvis_ear.hearing.turns import TurnMachine
from jarvis_ear.options import Loaded
from jarvis_ear.running import Running
from jarvis_ear.system import logs, places
from jarvis_ear.system.away import Away
from jarvis_ear.system.beat import Beat, Part
from jarvis_ear.system.boot_clock import BootClock
from jarvis_ear.system.bus_switch import BusSwitch
from jarvis_ear.system.control import Control
from jarvis_ear.system.health import Health
from jarvis_ear.system.inbox import Inbox
from jarvis_ear.system.ledger import Ledger
from jarvis_ear.system.mute import Mute
from jarvis_ear.system.notify import open_notifier, watchdog_s
from jarvis_ear.system.orders import Orders
from jarvis_ear.system.quiet_hours import QuietHours
from jarvis_ear.system.service import Service
from jarvis_ear.system.spool import DiskSpool
from jarvis_ear.system.turn_log import TurnLog
from jarvis_ear.system.watchdog import Watchdog
from jarvis_ear.transports.bus_client import BusClient
from jarvis_ear.transports.spool import NoSpool, Spool

CAPTURE: Final = "capture thread"
"""The part of the beat that can hang in a driver, where nobody can wake it."""

HANGS_S: Final = 15.0
"""Opening a device may wait 5 s for a lock and 3 s for a close: whoever takes longer hangs."""

LOOK_S: Final = 0.1
"""How often the main thread looks up: the live line is redrawn so often, a signal seen so soon."""

_LOGGER = logging.getLogger("jarvis_ear")


def main() -> int:
    """Run the command line."""
    return cli.main(run=run)


def run(loaded: Loaded) -> int:
    """Hear until told to stop, or until a file is over and its last turn is finished."""
    faulthandler.enable()  # a process that the watchdog kills says where each thread was
    every_s = watchdog_s(os.environ)
    service = Service(open_notifier(os.environ))
    with ExitStack() as up:
        live = up.enter_context(logs.setup(loaded.config.log))
        ending = up.enter_context(Ending(on_signal=service.stopping))
        service.starting()
        _check_source(loaded.config.microphone)
        spool = _spool(loaded.config.spool, up)
        options = _with_companion(loaded.config, up)
        running = _start(options, make_source(options.microphone), spool, ending, up)
        watchdog = Watchdog(running.beat, every_s)
        up.callback(service.stopping)
        while not ending.wait(LOOK_S):
            running.mute.look()
            running.health.look()
            _require_capture(running.beat)
            service.look(running.condition(), watchdog)
            live.show(running.ear.state, level(running.ear.last_frame).rms, running.ear.score)
    return 0


def _require_capture(beat: Beat) -> None:
    """End the program when the capture thread hangs: only a new process can hear again."""
    if CAPTURE in beat.stuck:
        raise DeviceError(
            f"the sound system has not answered for {HANGS_S:g} s, only a new process can hear"
        )


def _check_source(microphone: config.Microphone) -> None:
    """Tell a person's mistake before anything is started.

    A service does not end because no microphone has this name: it waits for one.
    """
    if microphone.input and not Path(microphone.input).is_fifo():
        with closing(make_source(microphone)) as source:
            source.open()
    elif microphone.device and "INVOCATION_ID" not in os.environ:
        missing = why_deaf(microphone.device)
        if missing:
            raise DeviceError(missing)


def _start(
    options: config.Config, source: Source, spool: Spool, ending: Ending, up: ExitStack
) -> Running:
    """Start everything, the source of sound last, so that nothing said is lost."""
    inbox = Inbox()
    log = TurnLog(_LOGGER, transcripts=options.log.transcripts, wake_word=_wake_word(options))
    mute = Mute(
        places.state_folder(os.environ),
        QuietHours.parse(options.microphone.mute_between),
        on_change=lambda muted: _close_or_open(capture, inbox, bus, mute, muted=muted),
    )
    bus = _bus(options, mute)
    bridge = Bridge(ear=inbox, log=log, watchers=_watchers(options, bus))
    speaker = Speaker(options.speaker, on_started=bridge.reply_started, on_ended=bridge.reply_ended)
    backend = BackendClient(options.backend, on_event=bridge.delivery, spool=spool)
    bridge.connect(backend=backend, speaker=speaker)
    ear = EarThread(
        _make_ear(options.hearing),
        inbox,
        bridge.effect,
        patient=options.microphone.fast,
        on_finished=ending.finish,
        on_failure=ending.fail,
    )
    is_muted = mute.load()
    capture = Capture(
        source,
        inbox,
        on_lost=lambda _reason: inbox.tell(MicrophoneLost()),
        on_found=lambda: inbox.tell(MicrophoneFound()),
        on_end=_when_sound_ends(ear, ending),
        muted=is_muted,
    )
    if is_muted:
        _LOGGER.info("muted by the %s: the microphone stays closed", ", ".join(mute.by))
        inbox.tell(Muted())
    beat = _beat(ear, capture, backend)
    health = Health(
        ear,
        beat,
        details=lambda: {
            "muted_by": list(mute.by),
            "connected": backend.connected,
            **_bus_health(bus),
            **_losses(source, inbox),
        },
        turns=log.recent,
        folder=places.state_folder(os.environ),
    )
    up.callback(log.close)
    up.enter_context(speaker)
    up.callback(backend.disconnect)
    backend.start()
    up.enter_context(ear)
    up.enter_context(capture)
    _open_control(Orders(health, mute), up)
    if bus is not None:
        up.callback(bus.stop)
        bus.start()
    return Running(ear, capture, backend, mute, beat, health, Away())


def _close_or_open(
    capture: Capture, inbox: Inbox, bus: BusClient | None, mute: Mute, *, muted: bool
) -> None:
    """Have the ear stop hearing, and the device given back; or the other way round."""
    inbox.tell(Muted() if muted else Unmuted())
    if muted:
        capture.mute()
    else:
        capture.unmute()
    if bus is not None:
        bus.announce(mute.by)


def _bus(options: config.Config, mute: Mute) -> BusClient | None:
    """Make the ear a member of the bus, if there is one."""
    if not options.bus.url:
        return None
    switch = BusSwitch(mute, may_unmute=options.bus.may_unmute)
    return BusClient(options.bus, options.backend, switch)


def _watchers(options: config.Config, bus: BusClient | None) -> list[Watcher]:
    """Name those who follow the turns besides the log."""
    if bus is None:
        return []
    return [BusNews(options.backend.agent_id, options.bus.news, bus.post)]


def _bus_health(bus: BusClient | None) -> dict[str, object]:
    """Say how things stand with the bus."""
    return {"bus": "off"} if bus is None else {"bus": str(bus.state), **bus.counters()}


def _beat(ear: EarThread, capture: Capture, backend: BackendClient) -> Beat:
    """Say which parts have to move for the ear to hear; without a microphone, sound need not."""

    def is_awake() -> bool:
        return ear.state not in (State.MUTED, State.DEAF) and not capture.is_muted

    return Beat(
        [
            Part(CAPTURE, lambda: capture.turns, patience_s=HANGS_S),
            Part("ear thread", lambda: ear.turns, patience_s=2),
            Part("network", lambda: backend.turns, patience_s=10),
            Part("sound", lambda: ear.frames, patience_s=0.5, is_needed=is_awake),
            Part("wake model", lambda: ear.proofs, patience_s=8, is_needed=is_awake),
        ]
    )


def _losses(source: Source, inbox: Inbox) -> dict[str, object]:
    """Count what was not heard, and where it was lost."""
    dropped = {"dropped_samples": inbox.dropped_samples, "dropped_events": inbox.dropped_events}
    told: dict[str, object] = {"source": source.name, **dropped}
    if isinstance(source, Microphone):
        told |= {"overflows": source.overflows, "gaps": source.gaps}
        told["samples_lost"] = source.samples_lost
    return told


def _open_control(orders: Orders, up: ExitStack) -> None:
    """Answer on the control socket; an ear hears without one, too."""
    try:
        folder = places.control_folder(os.environ)
    except OSError as error:
        _LOGGER.warning("no control socket: %s", error)
        return
    up.enter_context(Control(folder / places.SOCKET, orders.answer))


def _spool(options: config.Spool, up: ExitStack) -> Spool:
    """Take the folder in which sentences wait: whoever comes second has to be told at once."""
    if not options.enabled:
        return NoSpool()
    clock = BootClock.of_this_machine()
    ledger = Ledger(options.ledger_dir or places.state_folder(os.environ), clock)
    spool = DiskSpool(options.dir or places.spool_folder(os.environ), ledger, clock)
    up.callback(spool.close)
    spool.lock()
    return spool


def _wake_word(options: config.Config) -> str:
    model = options.hearing.wake.model
    return "Hey Jarvis" if model is None else model.stem


def _make_ear(hearing: config.Hearing) -> Ear:
    """Load the models: the one slow step of a start."""
    return Ear(
        hearing,
        gate=WebRtcVad(hearing.gate.aggressiveness),
        wake=OpenWakeWord(hearing.wake.model),
        speech=Silero(),
        machine=TurnMachine(hearing, lambda: secrets.token_hex(4)),
    )


def _when_sound_ends(ear: EarThread, ending: Ending) -> Callable[[JarvisEarError | None], None]:
    def on_end(error: JarvisEarError | None) -> None:
        if error is None:
            ear.sound_ended()
        else:
            ending.fail(error)

    return on_end


def _with_companion(options: config.Config, up: ExitStack) -> config.Config:
    """Start the reference backend if it was asked for, and point the ear at it."""
    if not options.with_backend:
        return options
    companion = up.enter_context(Companion(transcripts=options.log.transcripts))
    backend = options.backend.model_copy(
        update={"url": companion.url, "password": SecretStr(companion.password)}
    )
    return options.model_copy(update={"backend": backend})


if __name__ == "__main__":
    sys.exit(main())
