"""The composition root: what there is, who is started after whom, and who stops first.

Start and stop are the same list, read down and up. Nothing here decides anything about a turn.
"""

import os

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # before anything can import onnxruntime

import faulthandler
import gc
import logging
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path
from typing import Final

from pydantic import SecretStr

from jarvis_ear import __version__, cli, config
from jarvis_ear.audio.level import level
from jarvis_ear.backend import BackendClient
from jarvis_ear.bridge import Bridge
from jarvis_ear.companion import Companion
from jarvis_ear.devices.capture import Capture
from jarvis_ear.devices.microphone import Microphone
from jarvis_ear.devices.source import Source, make_source, why_deaf
from jarvis_ear.devices.speaker import Speaker
from jarvis_ear.ear_thread import EarThread
from jarvis_ear.ears import Ears, wake_word
from jarvis_ear.ending import Ending
from jarvis_ear.errors import DeviceError, DeviceHangs, JarvisEarError
from jarvis_ear.hearing.events import (
    Hushed,
    MicrophoneFound,
    MicrophoneLost,
    Muted,
    State,
    Unmuted,
)
from jarvis_ear.journal.life import CONTROL_TROUBLE, MUTED
from jarvis_ear.options import Loaded
from jarvis_ear.reload import Reload
from jarvis_ear.running import Running
from jarvis_ear.system import logs, places
from jarvis_ear.system.away import Away
from jarvis_ear.system.beat import Beat, Part
from jarvis_ear.system.boot_clock import BootClock
from jarvis_ear.system.bus_news import BusNews
from jarvis_ear.system.bus_switch import BusSwitch
from jarvis_ear.system.chronicles import Chronicles
from jarvis_ear.system.control import Control
from jarvis_ear.system.feed import Feed
from jarvis_ear.system.feed_socket import FeedSocket
from jarvis_ear.system.hangup import Hangup
from jarvis_ear.system.health import Health
from jarvis_ear.system.inbox import Inbox
from jarvis_ear.system.last_words import life_told
from jarvis_ear.system.ledger import Ledger
from jarvis_ear.system.mute import Mute
from jarvis_ear.system.notify import open_notifier, watchdog_s
from jarvis_ear.system.orders import Orders
from jarvis_ear.system.publisher import Publisher
from jarvis_ear.system.quiet_hours import QuietHours
from jarvis_ear.system.service import Service
from jarvis_ear.system.spool import DiskSpool
from jarvis_ear.system.together import Timed, Together
from jarvis_ear.system.turn_log import TurnLog
from jarvis_ear.system.vital_signs import VitalSigns
from jarvis_ear.system.watchdog import Watchdog
from jarvis_ear.takeover import Takeover
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
        up.callback(gc.freeze)  # to look through the models at the very end takes a second
        live = up.enter_context(logs.setup(loaded.config.log))
        up.enter_context(life_told())
        ending = up.enter_context(Ending(on_signal=service.stopping))
        hangup = up.enter_context(Hangup())
        service.starting()
        _check_source(loaded.config.microphone)
        spool = _spool(loaded.config.spool, up)
        lead = _companion(loaded.config, up)
        options, ears = lead(loaded.config), Ears()
        ears.load(options.hearing)
        if ending.wait(0):  # a stop need not wait for the rest of the start
            return 0
        running = _start(options, ears, spool, ending, up)
        reload = Reload(
            options,
            read=lambda: lead(loaded.read_again().config),
            prepare=Takeover(running, ears).prepare,
            is_calm=running.is_calm,
            on_done=running.show,
        )
        watchdog = Watchdog(running.beat, every_s)
        up.callback(service.stopping)
        while not ending.wait(LOOK_S):
            running.mute.look()
            running.health.look()
            _require_capture(running.beat)
            if hangup.take():
                service.reloading()
                reload.ask()
            reload.look()
            service.look(running.condition(reload), watchdog)
            live.show(running.ear.state, level(running.ear.last_frame).rms, running.ear.score)
    return 0


def _require_capture(beat: Beat) -> None:
    """End the program when the capture thread hangs: only a new process can hear again."""
    if CAPTURE in beat.stuck:
        raise DeviceHangs(
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
    options: config.Config, ears: Ears, spool: Spool, ending: Ending, up: ExitStack
) -> Running:
    """Start everything, the source of sound last, so that nothing said is lost."""
    inbox = Inbox()
    source = make_source(options.microphone)
    heard = wake_word(options.hearing)
    log = TurnLog(_LOGGER, transcripts=options.log.transcripts, wake_word=heard)
    feed = _feed(options)
    publisher = Publisher(feed, transcripts=options.console.transcripts)
    mute = Mute(
        places.state_folder(os.environ),
        QuietHours.parse(options.microphone.mute_between),
        on_change=lambda muted: _close_or_open(capture, inbox, bus, mute, muted=muted),
    )
    bus = _bus(options, mute)
    bridge = Bridge(ear=inbox, log=Chronicles(log, publisher, *_news(options, bus)))
    speaker = Speaker(options.speaker, on_started=bridge.reply_started, on_ended=bridge.reply_ended)
    backend = BackendClient(options.backend, on_event=bridge.delivery, spool=spool)
    bridge.connect(backend=backend, speaker=speaker)
    ear = EarThread(
        ears.make(options.hearing, backend.growth_ms),
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
        by = ", ".join(mute.by)
        told = MUTED.told(MUTED_BY=by)
        _LOGGER.info("muted by the %s: the microphone stays closed", by, extra=told)
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
    together = up.enter_context(Together())
    turns = together.add("the way of a turn", ExitStack())
    turns.enter_context(Timed("speaker", speaker))
    turns.enter_context(Timed("network", backend))
    turns.enter_context(Timed("ear", ear))
    turns.enter_context(Timed("capture", capture))
    orders = Orders(health, mute, on_hush=lambda: inbox.tell(Hushed()), modules=bus)
    signs = VitalSigns(feed, ear, health=health.report, muted_by=lambda: mute.by)
    _open_sockets(orders, feed, signs, together)
    if bus is not None:
        together.add("bus", bus)
    return Running(
        source,
        capture,
        ear,
        backend,
        speaker,
        log,
        mute,
        beat,
        health,
        Away(),
        show=partial(_show_options, feed),
    )


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


def _news(options: config.Config, bus: BusClient | None) -> list[BusNews]:
    """Have the bus told of turns, if there is one."""
    if bus is None:
        return []
    return [BusNews(options.backend.agent_id, options.bus.news, bus.post)]


def _bus_health(bus: BusClient | None) -> dict[str, object]:
    """Say how things stand with the bus."""
    if bus is None:
        return {"bus": "off"}
    return {"bus": str(bus.state), "modules": dict(bus.modules), **bus.counters()}


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


def _feed(options: config.Config) -> Feed:
    """Begin a feed with what stays as it is."""
    feed = Feed()
    _show_options(feed, options)
    feed.put("words", {"shown": options.console.transcripts})
    feed.put("state", {"name": str(State.IDLE), "why": "", "at": time.time()})
    return feed


def _show_options(feed: Feed, options: config.Config) -> None:
    """Tell a feed of options that a reload may change."""
    heard, wake = wake_word(options.hearing), options.hearing.wake
    feed.put("about", {"agent": options.backend.agent_id, "version": __version__})
    feed.put("wake", {"word": heard, "threshold": wake.threshold})
    feed.put("quiet_hours", {"between": options.microphone.mute_between})


def _open_sockets(orders: Orders, feed: Feed, signs: VitalSigns, together: Together) -> None:
    """Take orders and feed consoles; an ear hears without either, too."""
    try:
        folder = places.control_folder(os.environ)
    except OSError as error:
        told = CONTROL_TROUBLE.told(REASON=error)
        _LOGGER.warning("no control socket and no feed: %s", error, extra=told)
        return
    together.add("feed", FeedSocket(folder / places.FEED, feed, signs.look))
    together.add("control", Control(folder / places.SOCKET, orders.answer))


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


def _when_sound_ends(ear: EarThread, ending: Ending) -> Callable[[JarvisEarError | None], None]:
    def on_end(error: JarvisEarError | None) -> None:
        if error is None:
            ear.sound_ended()
        else:
            ending.fail(error)

    return on_end


def _companion(options: config.Config, up: ExitStack) -> Callable[[config.Config], config.Config]:
    """Start the reference backend if it was asked for; return what points options at it."""
    if not options.with_backend:
        return lambda unchanged: unchanged
    companion = up.enter_context(Timed("companion", Companion(transcripts=options.log.transcripts)))
    there = {"url": companion.url, "password": SecretStr(companion.password)}

    def lead(read: config.Config) -> config.Config:
        return read.model_copy(update={"backend": read.backend.model_copy(update=there)})

    return lead


if __name__ == "__main__":
    sys.exit(main())
