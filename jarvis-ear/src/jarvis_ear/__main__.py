"""The composition root: builds the parts of the ear, starts them, and stops them in reverse.

Nothing here decides anything about a turn.
"""

import os
import signal

from jarvis_ear import cli

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # before anything can import onnxruntime
_on_interrupt = signal.getsignal(signal.SIGINT)
if _on_interrupt is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C among the imports is no traceback

if __name__ == "__main__":
    cli.forbid_unneeded()

import faulthandler
import logging
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from jarvis_ear import config, paths
from jarvis_ear.announcements import Announcements
from jarvis_ear.audio.level import level
from jarvis_ear.backend import BackendClient, new_id
from jarvis_ear.bridge import Bridge
from jarvis_ear.bus.client import BusMembership
from jarvis_ear.companion import companion_of
from jarvis_ear.components import Components, Requests
from jarvis_ear.control.commands import ControlCommands
from jarvis_ear.control.feed import Feed, FeedSampler
from jarvis_ear.control.server import ControlServer
from jarvis_ear.delivery.utterance import CapturedAudio
from jarvis_ear.devices.capture import Capture
from jarvis_ear.devices.echo_delays import EchoDelays
from jarvis_ear.devices.microphone import quiet_of
from jarvis_ear.devices.models import EarFactory
from jarvis_ear.devices.sample_clock import SampleClock, boot_clock
from jarvis_ear.devices.sound_files import load_sounds
from jarvis_ear.devices.sources import Source, check_source, make_source, prepare_source
from jarvis_ear.devices.speaker import Speaker
from jarvis_ear.devices.volume import Volume, VolumeRequests
from jarvis_ear.errors import JarvisEarError
from jarvis_ear.health.deaf_time import LossFile
from jarvis_ear.health.liveness import Watchdog
from jarvis_ear.hearing.ear_thread import EarThread
from jarvis_ear.hearing.events import Effect, Hushed, ListenRequested, Muted, Unmuted
from jarvis_ear.hearing.inbox import Inbox
from jarvis_ear.hooks.hooks import Hooks
from jarvis_ear.journal.life import CONTROL_TROUBLE
from jarvis_ear.lifecycle import ConcurrentStop, StopSignal, timed
from jarvis_ear.link.registry import wire_of
from jarvis_ear.log import setup
from jarvis_ear.log.setup import log_lifecycle
from jarvis_ear.metrics.server import MetricsServer
from jarvis_ear.mqtt.client import MqttMembership
from jarvis_ear.mute import BROKER, OWNER, Mute, QuietHours
from jarvis_ear.process import ReloadSignal
from jarvis_ear.reload import Reload, ReloadSteps
from jarvis_ear.rooms.rooms import Rooms
from jarvis_ear.schema import Loaded
from jarvis_ear.spool.store import Spool, kept_spool
from jarvis_ear.systemd.notify import open_notifier, watchdog_s
from jarvis_ear.systemd.status_text import Service
from jarvis_ear.tuning import Tuning
from jarvis_ear.turn_trace.earcons import EarconView
from jarvis_ear.turn_trace.follow_up import FollowUps
from jarvis_ear.turn_trace.history import TurnHistory
from jarvis_ear.turn_trace.journal_view import JournalView
from jarvis_ear.turn_trace.json_views import BusView, ConsoleView, HookView, MqttView
from jarvis_ear.turn_trace.near_miss_view import NearMissView
from jarvis_ear.turn_trace.turn_counts import TurnCounts
from jarvis_ear.units import Samples
from jarvis_ear.wake_ledger.ledger import WakeLedger

if _on_interrupt is signal.default_int_handler:
    signal.signal(signal.SIGINT, _on_interrupt)

LOOK_S: Final = 1.0
"""Seconds between two looks of the main loop. Signals and new states of the ear wake it."""

SOON_S: Final = 0.1
"""The same while the state is shown in a terminal, or a start or reload is not complete."""

_LOGGER = logging.getLogger("jarvis_ear")


def run(loaded: Loaded) -> int:
    """Hear until told to stop, or until a file is over and its last turn is finished."""
    faulthandler.enable()  # a process that the watchdog kills says where each thread was
    every_s = watchdog_s(os.environ)
    notifier = open_notifier(os.environ)
    service = Service(notifier)
    with ExitStack() as stack:
        live = stack.enter_context(setup.setup(loaded.config.log))
        stack.enter_context(log_lifecycle())
        stop = stack.enter_context(StopSignal(on_signal=service.stopping))
        reload_signal = stack.enter_context(ReloadSignal(stop.wake))
        service.starting()
        prepare_source(loaded.config.microphone)
        check_source(loaded.config.microphone, waits="INVOCATION_ID" in os.environ)
        spool = stack.enter_context(kept_spool(loaded.config.spool))
        redirect = stack.enter_context(companion_of(loaded.config))
        options, models = redirect(loaded.config), EarFactory()
        models.load(options.hearing)
        if stop.wait(0):  # a stop need not wait for the rest of the start
            return 0
        tuning = Tuning(paths.state_folder(os.environ), loaded.read_again, reload_signal.ask)
        parts = _build(options, models, spool, stop, tuning)
        parts.counters.add(notifier.counters)
        _start(parts, stack)
        stack.callback(service.stopping)
        reload = Reload(
            options,
            read=lambda: redirect(loaded.read_again().config),
            prepare=ReloadSteps(parts, models).prepare,
            is_calm=parts.is_calm,
            on_done=parts.turns.change,
        )
        watchdog = Watchdog(parts.beat, every_s)
        parts.capture.source.keep_live("terminal", wanted=live.enabled)
        look_s = min(LOOK_S, every_s / 4 or LOOK_S)
        while not stop.wait(SOON_S if live.enabled or service.is_waiting else look_s):
            if reload_signal.take():
                service.reloading()
                reload.ask()
            _look(parts, reload)
            condition = parts.condition(reload=reload.note, reload_waits=reload.waits)
            service.look(condition, watchdog)
            if live.enabled:
                live.show(parts.ear.state, level(parts.ear.last_frame).rms, parts.ear.score)
    return 0


def _look(parts: Components, reload: Reload) -> None:
    """Do what is due in the main thread."""
    parts.mute.look()
    parts.health.look()
    parts.near_misses.look()
    parts.volume_requests.look()
    parts.ear.look_at_echo(parts.echoes.look)
    parts.require_capture()
    reload.look()


def _build(
    options: config.Config, models: EarFactory, spool: Spool, stop: StopSignal, tuning: Tuning
) -> Components:
    """Build every part after those that it needs, and connect those that need each other."""
    folder = paths.state_folder(os.environ)
    echoes = EchoDelays(folder, f"{options.speaker.device} > {options.microphone.device}")
    inbox, feed = Inbox(), Feed()
    mute = Mute(folder, QuietHours.parse(options.microphone.mute_between))
    hooks = Hooks(options.hooks)
    clock = SampleClock(in_real_time=not options.microphone.fast)

    def stop_turn() -> None:
        inbox.tell(Hushed())

    def listen() -> None:
        inbox.tell(ListenRequested(clock.position_at(boot_clock()) or Samples(0)))

    bus = BusMembership(options, mute, on_stop=stop_turn, on_listen=listen)
    mqtt = MqttMembership(options, mute)
    backend = BackendClient(options.backend, spool=spool)
    backend.use_words(options.hearing.wake.all_words)
    is_one_of_many = bool(options.rooms.group)
    earcons = EarconView(muted_by=lambda: mute.by, is_one_of_many=is_one_of_many)
    volume = Volume(options.speaker.volume, folder)
    turns = TurnHistory(
        options,
        JournalView(_LOGGER),
        ConsoleView(feed),
        BusView(bus.post),
        HookView(hooks.post),
        MqttView(mqtt.enter, mqtt.post_turn),
        follow_ups := FollowUps(),
        earcons,
        near_misses := NearMissView(_LOGGER, feed),
        turn_counts := TurnCounts(),
        volume_requests := VolumeRequests(volume, on_request=stop.wake),
        on_heard=backend.heard,
    )
    announcements = Announcements(options.speaker, turns.after, new_id)
    bridge = Bridge(
        ear=inbox,
        turns=turns,
        follow_ups=follow_ups,
        announcements=announcements,
        clock=clock,
    )
    wake_ledger = WakeLedger(options.hearing, folder)

    def deliver(effect: Effect) -> None:
        bridge.effect(effect)
        wake_ledger.after(effect)

    speaker = Speaker(
        options.speaker,
        on_started=bridge.reply_started,
        on_ended=bridge.reply_ended,
        on_heard=bridge.reply_heard,
        volume=volume,
        on_far=bridge.played,
        sounds=load_sounds(options.sounds, options.hearing.wake.all_words),
    )
    source = make_source(options.microphone)
    source.hold_quiet(quiet_of(options.hearing))
    ear = EarThread(
        models.make(
            options.hearing,
            wire_of(options.backend.protocol).growth_ms,
            may_interrupt=options.speaker.barge_in != config.NO_BARGE_IN,
            echo=echoes.known,
            lag_ms=options.speaker.lag_ms,
        ),
        inbox,
        deliver,
        waits_for_replies=options.microphone.fast,
        on_block=clock.processed,
        on_frame=wake_ledger.hear,
        on_live=lambda wanted: source.keep_live("ear", wanted=wanted),
        on_finished=lambda: stop.finish(turns.failure()),
        on_failure=stop.fail,
    )
    capture = _make_capture(source, inbox, ear, stop, on_block=clock.captured, muted=mute.load())
    earcons.connect(speaker.chime)
    volume_requests.connect(speaker.set_volume)
    announcements.connect(speaker)
    rooms = Rooms(
        options,
        sound=lambda: ear.around_wake,
        captured_at=clock.captured_at,
        is_ready=lambda: backend.connected,
        tell=inbox.tell,
        post=bus.post_now,
    )
    bus.connect(rooms.heard_on_bus)
    _connect(bridge, backend, speaker, ear, rooms=rooms, stop=stop)
    mute.connect(lambda muted: _close_or_open(capture, inbox, bus, mute, muted=muted))
    requests = Requests(
        stop=stop_turn,
        listen=listen,
        say=announcements.say,
        speak=lambda text: announcements.say(backend.speak(text)),
        tuner=tuning,
    )
    parts = (inbox, mute, bus, turns, feed, speaker, backend, ear, capture, hooks, echoes)
    more = (announcements, near_misses, wake_ledger, rooms, turn_counts, volume_requests)
    metrics = MetricsServer(options.metrics)
    return Components(*parts, *more, metrics, mqtt, folder, requests)


def _connect(
    bridge: Bridge,
    backend: BackendClient,
    speaker: Speaker,
    ear: EarThread,
    *,
    rooms: Rooms,
    stop: StopSignal,
) -> None:
    """Connect the bridge with the receivers of the effects of the ear."""

    def send(captured_audio: CapturedAudio) -> None:
        backend.send_audio(captured_audio)

    bridge.connect(
        send=send,
        backend=backend,
        speaker=speaker,
        on_state=lambda _state: stop.wake(),
        on_played=ear.played,
        on_effect=rooms.after,
        may_answer=rooms.may_answer,
    )
    backend.report_to(bridge.delivery)


def _make_capture(
    source: Source,
    inbox: Inbox,
    ear: EarThread,
    stop: StopSignal,
    *,
    on_block: Callable[[Samples], None],
    muted: bool,
) -> Capture:
    """Build the capture thread, which tells the ear about the microphone."""

    def on_end(error: JarvisEarError | None) -> None:
        if error is None:
            ear.sound_ended()
        else:
            stop.fail(error)

    if muted:
        inbox.tell(Muted())
    return Capture(
        source,
        inbox,
        on_end=on_end,
        on_block=on_block,
        muted=muted,
        losses=LossFile(_own_runtime_folder()),
    )


def _start(parts: Components, stack: ExitStack) -> None:
    """Start everything, the source of sound last, so that nothing said is lost.

    At a stop, the threads on the way of a turn end in reverse order, and the others beside them.
    """
    stack.callback(parts.volume_requests.look)
    stack.callback(parts.turns.close)
    together = stack.enter_context(ConcurrentStop())
    turns = together.add("turn path", ExitStack())
    turns.enter_context(timed("speaker", parts.speaker))
    turns.enter_context(timed("network", parts.backend))
    turns.enter_context(timed("ear", parts.ear))
    turns.enter_context(timed("capture", parts.capture))
    signs = FeedSampler(parts.feed, parts.ear, health=parts.health.report, mute=parts.mute)
    _open_sockets(_commands(parts), signs, together, parts)
    parts.mqtt.connect(_commands(parts, BROKER), parts.home_state)
    together.add("bus", parts.bus)
    together.add("hooks", parts.hooks)
    together.add("wake ledger", parts.wake_ledger)
    together.add("rooms", parts.rooms)
    together.add("metrics", parts.metrics)
    together.add("mqtt", parts.mqtt)


def _commands(parts: Components, by: str = OWNER) -> ControlCommands:
    """Return commands for one thread: each thread that carries some out has its own."""
    requests = parts.requests
    return ControlCommands(
        parts.health,
        parts.mute,
        on_stop=requests.stop,
        on_listen=requests.listen,
        on_say=requests.say,
        on_speak=requests.speak,
        metrics=parts.metrics.text,
        modules=parts.bus,
        speaker=parts.speaker,
        tuner=parts.requests.tuner,
        by=by,
    )


def _close_or_open(
    capture: Capture, inbox: Inbox, bus: BusMembership, mute: Mute, *, muted: bool
) -> None:
    """Mute the ear and close the device, or the reverse; announce it on the bus."""
    inbox.tell(Muted() if muted else Unmuted())
    if muted:
        capture.mute()
    else:
        capture.unmute()
    bus.announce(mute.by)


def _own_runtime_folder() -> Path | None:
    """Return our folder for what a reboot removes, or None if others can write to it."""
    try:
        return paths.control_folder(os.environ)
    except OSError:
        return None


def _open_sockets(
    orders: ControlCommands, signs: FeedSampler, together: ConcurrentStop, parts: Components
) -> None:
    """Open the control socket; the ear works without it."""
    try:
        folder = paths.control_folder(os.environ)
    except OSError as error:
        fields = CONTROL_TROUBLE.fields(REASON=error)
        _LOGGER.warning("no control socket: %s", error, extra=fields)
        return

    def on_watched(is_watched: bool) -> None:
        parts.capture.source.keep_live("console", wanted=is_watched)

    control = ControlServer(
        folder,
        orders.answer,
        parts.feed,
        signs.look,
        take=orders.take,
        on_watched=on_watched,
    )
    parts.counters.add(control.counters)
    together.add("control", control)


if __name__ == "__main__":
    cli.program(run)
