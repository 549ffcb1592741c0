"""The composition root: what there is, who is started after whom, and who stops first.

Start and stop are the same list, read down and up. Nothing here decides anything about a turn.
"""

import os
import signal

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # before anything can import onnxruntime
_on_interrupt = signal.getsignal(signal.SIGINT)
if _on_interrupt is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C among the imports is no traceback

import faulthandler
import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Final

from jarvis_ear import cli, config, paths
from jarvis_ear.audio.level import level
from jarvis_ear.backend import BackendClient
from jarvis_ear.bridge import Bridge
from jarvis_ear.bus.membership import BusMembership
from jarvis_ear.companion import led
from jarvis_ear.components import counters, details, make_beat, require_capture
from jarvis_ear.control.commands import ControlCommands
from jarvis_ear.control.feed import Feed, FeedSampler
from jarvis_ear.control.server import ControlServer
from jarvis_ear.delivery.utterance import CapturedAudio
from jarvis_ear.devices.capture import Capture
from jarvis_ear.devices.models import EarFactory
from jarvis_ear.devices.sample_clock import SampleClock
from jarvis_ear.devices.sources import check_source, make_source
from jarvis_ear.devices.speaker import Speaker
from jarvis_ear.errors import JarvisEarError
from jarvis_ear.health.deaf_time import LossMark
from jarvis_ear.health.liveness import Watchdog
from jarvis_ear.health.report import Counters, Health
from jarvis_ear.hearing.ear_thread import EarThread
from jarvis_ear.hearing.events import Hushed, Muted, Unmuted
from jarvis_ear.hearing.inbox import Inbox
from jarvis_ear.journal.life import CONTROL_TROUBLE, MUTED
from jarvis_ear.lifecycle import StopSignal
from jarvis_ear.log import setup
from jarvis_ear.log.setup import log_lifecycle
from jarvis_ear.mute import Mute, QuietHours
from jarvis_ear.process import ConcurrentStop, ReloadSignal, Timed
from jarvis_ear.reload import Components, Reload, ReloadSteps
from jarvis_ear.schema import Loaded
from jarvis_ear.spool.store import Spool, kept_spool
from jarvis_ear.systemd.notify import Notifier, open_notifier, watchdog_s
from jarvis_ear.systemd.status_text import BackendOutage, Service
from jarvis_ear.turn_trace.history import TurnHistory
from jarvis_ear.turn_trace.journal_view import JournalView
from jarvis_ear.turn_trace.json_views import BusView, ConsoleView

if _on_interrupt is signal.default_int_handler:
    signal.signal(signal.SIGINT, _on_interrupt)

LOOK_S: Final = 0.1
"""How often the main thread looks up: the live line is redrawn so often, a signal seen so soon."""

_LOGGER = logging.getLogger("jarvis_ear")


def run(loaded: Loaded) -> int:
    """Hear until told to stop, or until a file is over and its last turn is finished."""
    faulthandler.enable()  # a process that the watchdog kills says where each thread was
    every_s = watchdog_s(os.environ)
    notifier = open_notifier(os.environ)
    service = Service(notifier)
    with ExitStack() as up:
        live = up.enter_context(setup.setup(loaded.config.log))
        up.enter_context(log_lifecycle())
        ending = up.enter_context(StopSignal(on_signal=service.stopping))
        hangup = up.enter_context(ReloadSignal())
        service.starting()
        check_source(loaded.config.microphone, waits="INVOCATION_ID" in os.environ)
        spool = up.enter_context(kept_spool(loaded.config.spool))
        lead = up.enter_context(led(loaded.config))
        options, ears = lead(loaded.config), EarFactory()
        ears.load(options.hearing)
        if ending.wait(0):  # a stop need not wait for the rest of the start
            return 0
        running = _start(options, ears, spool, ending, up, notifier=notifier)
        reload = Reload(
            options,
            read=lambda: lead(loaded.read_again().config),
            prepare=ReloadSteps(running, ears).prepare,
            is_calm=running.is_calm,
            on_done=running.turns.change,
        )
        watchdog = Watchdog(running.beat, every_s)
        up.callback(service.stopping)
        while not ending.wait(LOOK_S):
            running.mute.look()
            running.health.look()
            require_capture(running.beat)
            if hangup.take():
                service.reloading()
                reload.ask()
            reload.look()
            service.look(running.condition(reload), watchdog)
            live.show(running.ear.state, level(running.ear.last_frame).rms, running.ear.score)
    return 0


def _start(
    options: config.Config,
    ears: EarFactory,
    spool: Spool,
    ending: StopSignal,
    up: ExitStack,
    *,
    notifier: Notifier,
) -> Components:
    """Start everything, the source of sound last, so that nothing said is lost."""
    inbox = Inbox()
    source = make_source(options.microphone)
    feed = Feed()
    mute = Mute(
        paths.state_folder(os.environ),
        QuietHours.parse(options.microphone.mute_between),
        on_change=lambda muted: _close_or_open(capture, inbox, bus, mute, muted=muted),
    )
    bus = BusMembership(options, mute)
    turns = TurnHistory(
        options,
        JournalView(_LOGGER),
        ConsoleView(feed),
        BusView(bus.post),
        on_heard=lambda *heard: backend.heard(*heard),  # noqa: PLW0108 - it is made further below
    )
    is_fast = options.microphone.fast
    sample_clock = SampleClock(in_real_time=not is_fast)
    bridge = Bridge(ear=inbox, turns=turns, captured_at=sample_clock.captured_at)
    speaker = Speaker(
        options.speaker,
        on_started=bridge.reply_started,
        on_ended=bridge.reply_ended,
        on_heard=bridge.reply_heard,
    )
    backend = BackendClient(options.backend, on_event=bridge.delivery, spool=spool)

    def send(captured_audio: CapturedAudio) -> None:
        backend.send_audio(captured_audio)

    bridge.connect(send=send, backend=backend, speaker=speaker)
    ear = EarThread(
        ears.make(options.hearing, backend.growth_ms),
        inbox,
        bridge.effect,
        waits_for_replies=is_fast,
        on_block=sample_clock.processed,
        on_finished=lambda: ending.finish(turns.failure()),
        on_failure=ending.fail,
    )
    is_muted = mute.load()
    capture = Capture(
        source,
        inbox,
        on_end=_when_sound_ends(ear, ending),
        on_block=sample_clock.captured,
        muted=is_muted,
        losses=LossMark(_own_runtime_folder()),
    )
    if is_muted:
        by = ", ".join(mute.by)
        fields = MUTED.fields(MUTED_BY=by)
        _LOGGER.info("muted by the %s: the microphone stays closed", by, extra=fields)
        inbox.tell(Muted())
    beat = make_beat(ear, capture, backend)
    counted = counters(source, ear, inbox, backend, speaker, turns, bus, notifier)
    health = Health(
        ear,
        beat,
        details=partial(details, mute, backend, bus, inbox, capture, speaker=speaker),
        counters=counted.read,
        turns=turns.recent,
        folder=paths.state_folder(os.environ),
    )
    up.callback(turns.close)
    together = up.enter_context(ConcurrentStop())
    path = together.add("the way of a turn", ExitStack())
    path.enter_context(Timed("speaker", speaker))
    path.enter_context(Timed("network", _connected(backend)))
    path.enter_context(Timed("ear", ear))
    path.enter_context(Timed("capture", capture))
    orders = ControlCommands(health, mute, on_hush=lambda: inbox.tell(Hushed()), modules=bus)
    signs = FeedSampler(feed, ear, health=health.report, muted_by=lambda: mute.by)
    _open_sockets(orders, feed, signs, together, counted)
    together.add("bus", bus)
    return Components(
        source,
        capture,
        ear,
        backend,
        speaker,
        turns,
        mute,
        beat,
        health,
        BackendOutage(),
        bus,
    )


@contextmanager
def _connected(backend: BackendClient) -> Iterator[None]:
    """Reach the backend for as long as the block lasts. The ear hears without it, and before."""
    backend.connect(wait_s=0)
    try:
        yield
    finally:
        backend.disconnect()


def _close_or_open(
    capture: Capture, inbox: Inbox, bus: BusMembership, mute: Mute, *, muted: bool
) -> None:
    """Have the ear stop hearing, and the device given back; or the other way round."""
    inbox.tell(Muted() if muted else Unmuted())
    if muted:
        capture.mute()
    else:
        capture.unmute()
    bus.announce(mute.by)


def _own_runtime_folder() -> Path | None:
    """Return the folder of what ends with the machine, or None if it is not ours alone."""
    try:
        return paths.control_folder(os.environ)
    except OSError:
        return None


def _open_sockets(
    orders: ControlCommands,
    feed: Feed,
    signs: FeedSampler,
    together: ConcurrentStop,
    counted: Counters,
) -> None:
    """Take orders and feed consoles; an ear hears without either, too."""
    try:
        folder = paths.control_folder(os.environ)
    except OSError as error:
        fields = CONTROL_TROUBLE.fields(REASON=error)
        _LOGGER.warning("no control socket: %s", error, extra=fields)
        return
    control = ControlServer(folder, orders.answer, feed, signs.look)
    counted.add(control.counters)
    together.add("control", control)


def _when_sound_ends(ear: EarThread, ending: StopSignal) -> Callable[[JarvisEarError | None], None]:
    def on_end(error: JarvisEarError | None) -> None:
        if error is None:
            ear.sound_ended()
        else:
            ending.fail(error)

    return on_end


if __name__ == "__main__":
    cli.program(run)
