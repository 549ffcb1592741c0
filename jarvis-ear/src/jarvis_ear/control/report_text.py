"""Report text: the health report of a running ear, as aligned lines for people."""

import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, TypeAlias

Row: TypeAlias = tuple[str, str]
"""A name and its text. An empty name continues the row above."""

NAME_WIDTH: Final = 16
"""Characters of the column of names."""

MIN_TEXT: Final = 24
"""Characters of the column of texts in a narrow terminal; shorter lines are unreadable."""

TO_DO: Final = "  to do"
"""Name of the row with the remedy for the row above."""

CLIPPED_PERCENT: Final = 0.1
"""Same value as ``devices.sound_faults.TOO_MUCH``; that module imports numpy."""

TURNS: Final = 5
"""Number of turns that are shown, the newest ones."""

STATES: Final[Mapping[str, str]] = {
    "idle": "waits for the wake word",
    "listening": "heard the wake word",
    "capturing": "hears an utterance",
    "thinking": "waits for the reply",
    "speaking": "plays the reply",
    "follow_up": "waits for a follow-up",
}
"""What the ear does in each state in which it hears."""

_QUIET_OR_FINE: Final = ("fine", "none is configured")
"""What the report says of a loudspeaker that has no trouble."""

_OWNER, _CLOCK, _BUS = "owner", "clock", "bus"
"""Those of ``mute``, which a client need not load."""

_DESCRIBED: Final = frozenset(
    (
        *("state", "hearing", "heard_s_ago", "deaf_s_today", "stuck", "turns", "counters"),
        *("muted_by", "muted_until", "deaf_reason", "deaf_remedy"),
        *("connected", "backend_url", "backend_reason", "backend_remedy"),
        *("source", "level_dbfs", "noise_floor_dbfs", "clipped_percent", "hears_own_speaker"),
        *("speaker", "volume_percent", "uptime_s", "version", "pid", "beat"),
        *("bus", "modules", "rooms", "rooms_ears"),
        *("rooms_answered_here", "rooms_answered_elsewhere"),
        *("near_misses_in_hour", "near_miss_best_score", "near_miss_s_ago", "near_miss_level_dbfs"),
        *("near_miss_noise_floor_dbfs", "near_miss_clipped_percent"),
        *("near_miss_reason", "near_miss_remedy"),
    )
)
"""Keys of the report that have their own row."""

COUNTED: Final[Mapping[str, str]] = {
    "samples_lost": "samples that the microphone lost",
    "gaps": "gaps in the sound from the microphone",
    "overflows": "overflows that the sound card reported",
    "dropped_samples": "samples dropped because the ear was too slow",
    "dropped_blocks": "blocks of sound dropped because the ear was too slow",
    "dropped_events": "events dropped because the ear was too slow",
    "gap_samples": "samples missing from the sound that the ear processed",
    "gaps_in_sound": "gaps in the sound that the ear processed",
    "played_dropped": "pieces of the loudspeaker's sound that the ear took too late",
    "self_echoes": "wake words of the loudspeaker that the ear ignored",
    "speech_refused": "utterances that were not taken for those of the person",
    "echo_late": "samples of the loudspeaker that were known too late to be removed",
    "echo_passed": "frames in which the echo canceller could not remove the echo",
    "echo_resets": "restarts of the echo canceller",
    "near_misses": "near misses of the wake word",
    "clips_dropped": "clips dropped before the wake ledger, because the disk was too slow",
    "clips_unwritten": "clips that could not be written to the wake ledger",
    "commands_dropped": "utterances and commands dropped before the network thread",
    "utterances_dropped": "utterances replaced by newer ones",
    "turns_unfinished": "turns without a verdict",
    "stray_messages": "messages of the backend that belong to no turn",
    "repeated_sentences": "chunks of replies that came twice",
    "late_sentences": "chunks of replies that came too late",
    "replies_too_big": "replies that were too long",
    "messages_refused": "invalid messages of the backend",
    "links_flooded": "connections closed because the backend sent too much at once",
    "announcements_dropped": "announcements dropped because too many waited",
    "reply_pieces_refused": "chunks of replies dropped because the speaker's queue was full",
    "reply_pieces_skipped": "chunks of replies in an unknown sound format",
    "reply_pieces_unsaved": "chunks of replies that could not be written to output_dir",
    "speaker_underruns": "gaps in replies because the loudspeaker got its sound too late",
    "spool_failures": "failed writes to the spool",
    "spool_foreign_files": "foreign files in the spool",
    "ledger_unwritten": "verdicts that are in the journal only, not in the ledger",
    "bus_dropped": "events dropped before the event bus",
    "bus_refused": "invalid messages of the event bus",
    "mqtt_replaced": "values that a newer one replaced before a slow or absent MQTT broker",
    "mqtt_refused": "commands of the MQTT broker that were not carried out",
    "rooms_doubled": "wake words that an ear in another room also answered",
    "rooms_refused": "messages of other ears that were invalid or had another key",
    "connections_refused": "connections to the satellite that were refused",
    "rooms_foreign": "wake words of ears in other groups",
    "rooms_ignored": "wake words of other ears that came too late or were too many",
    "rooms_unsent": "messages to other ears that no network took",
    "rooms_dropped": "messages to other ears dropped because the network was too slow",
    "hooks_failed": "events that a hook did not take",
    "hooks_dropped": "wake words and failures dropped before a slow hook",
    "hooks_replaced": "states that a newer one replaced before a slow hook",
    "metrics_refused": "refused requests for the metrics",
    "control_refused": "refused connections to the control socket",
    "feed_refused": "refused watchers of the feed",
    "feed_dropped": "changes dropped because a watcher of the feed was too slow",
    "log_records_lost": "log records that the journal did not accept",
    "notifications_dropped": "messages that the service manager did not accept",
}
"""What each counter counts, in the order of display."""


def describe(report: Mapping[str, Any], width: int = 0) -> str:
    """Format a report for people, in lines of ``width`` characters; 0: lines of any length."""
    return lay_out(rows(report), width)


def lay_out(table: Iterable[Row], width: int = 0) -> str:
    """Align the rows; texts that are longer than a line continue below their beginning."""
    lines: list[str] = []
    for name, text in table:
        room = max(width - NAME_WIDTH, MIN_TEXT) if width else 0
        folded = textwrap.wrap(text, room, break_on_hyphens=False) if room else [text]
        for place, line in enumerate(folded or [""]):
            lines.append(f"{'' if place else name:<{NAME_WIDTH}}{line}".rstrip())
    return "".join(f"{line}\n" for line in lines)


def rows(report: Mapping[str, Any]) -> list[Row]:
    """Return the rows of a report, each bad state with its reason and remedy."""
    return [
        *_state(report),
        *_backend(report),
        *_microphone(report),
        *_speaker(report),
        *_near_misses(report),
        *_neighbours(report),
        *_others(report),
        *_named("noted", [f"{words}: {count}" for words, count in noted(report)]),
        *_running(report),
        *_named("last turns", [_turn(turn) for turn in report["turns"][:TURNS]]),
    ]


def troubles(report: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return what is wrong besides the state itself, each with its remedy; no near misses."""
    table = [*_state(report), *_backend(report), *_microphone(report), *_speaker(report)]
    found = []
    for place, (name, remedy) in enumerate(table):
        if name == TO_DO and table[place - 1][0] != "state":
            what = table[place - 1][0] or "microphone"
            found.append((f"{what}: {table[place - 1][1]}", remedy))
    return found


def noted(report: Mapping[str, Any]) -> list[tuple[str, int]]:
    """Return every counter that is not zero, with its description."""
    counters = report.get("counters", {})
    known = [name for name in COUNTED if name in counters]
    others = [name for name in counters if name not in COUNTED]
    named = ((COUNTED.get(name, name.replace("_", " ")), counters[name]) for name in known + others)
    return [(words, count) for words, count in named if count]


def duration(seconds: float) -> str:
    """Return a duration as people say it, in at most two units: "7 s", "3 h 5 min", "2 days"."""
    whole = max(0, round(seconds))
    days, hours, minutes = whole // 86_400, whole // 3600 % 24, whole // 60 % 60
    if days:
        first = f"{days} day{'s' if days > 1 else ''}"
        return f"{first} {hours} h" if hours else first
    if hours:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    return f"{minutes} min" if minutes else f"{whole} s"


def muted(report: Mapping[str, Any]) -> str:
    """Return by whom the ear is muted and until when; empty: it is not muted."""
    by: Sequence[str] = report.get("muted_by", ())
    if not by:
        return ""
    names = " and ".join("you" if one == _OWNER else f"the {_NAMES.get(one, one)}" for one in by)
    until = report.get("muted_until")
    return f"muted by {names}{f' until {until}' if until else ''}"


_NAMES: Final[Mapping[str, str]] = {
    _CLOCK: "clock (microphone.mute_between)",
    _BUS: "event bus (bus.url)",
}


def mute_remedy(report: Mapping[str, Any]) -> str:
    """Return how to end a mute."""
    by = set(report.get("muted_by", ()))
    if _OWNER not in by and _BUS in by:
        return "switch audio on there, or jarvis-ear unmute"
    if report.get("muted_until"):
        return "it opens by itself; sooner: jarvis-ear unmute"
    return "jarvis-ear unmute"


def _state(report: Mapping[str, Any]) -> Iterator[Row]:
    if why := muted(report):
        yield "state", why
        yield TO_DO, mute_remedy(report)
    elif not report["hearing"]:
        yield "state", f"deaf: {report.get('deaf_reason') or 'no sound from the microphone'}"
        yield TO_DO, report.get("deaf_remedy") or "jarvis-ear devices; the log of the ear"
        ago_s = report["heard_s_ago"]
        yield "last sound", "none yet" if ago_s is None else f"{duration(ago_s)} ago"
    else:
        yield "state", f"hearing: {STATES.get(report['state'], report['state'])}"
    if report["stuck"] and (report["hearing"] or list(report["stuck"]) != ["sound"]):
        yield "stuck", ", ".join(report["stuck"])
        yield TO_DO, "restart the ear if this stays; its log says more"


def _backend(report: Mapping[str, Any]) -> Iterator[Row]:
    """Describe the link to the backend; if it is down, the reason and the remedy."""
    where = f" to {report['backend_url']}" if report.get("backend_url") else ""
    if report.get("connected"):
        yield "backend", f"connected{where}"
        return
    why = f": {report['backend_reason']}" if report.get("backend_reason") else ""
    yield "backend", f"not connected{where}{why}"
    if report.get("backend_remedy"):
        yield TO_DO, report["backend_remedy"]


def _microphone(report: Mapping[str, Any]) -> Iterator[Row]:
    level, floor = report.get("level_dbfs"), report.get("noise_floor_dbfs")
    heard = [] if level is None else [f"{level:.0f} dBFS"]
    heard += [] if floor is None else [f"the room {floor:.0f} dBFS"]
    shown = heard if report["hearing"] else []
    if texts := [*filter(None, [report.get("source")]), *shown]:
        yield "microphone", ", ".join(texts)
    if report.get("hears_own_speaker"):
        yield "", "it is a monitor of a loudspeaker"
        yield TO_DO, "choose another microphone.device; jarvis-ear devices lists them"
    if percent := report.get("clipped_percent"):
        yield "", f"clipped: {percent:g} % of the samples of the last minute"
        if percent >= CLIPPED_PERCENT:
            yield TO_DO, "lower the gain of the microphone (alsamixer)"
    if round(report["deaf_s_today"]):
        yield "deaf today", duration(report["deaf_s_today"])


def _speaker(report: Mapping[str, Any]) -> Iterator[Row]:
    condition, percent = report.get("speaker"), report.get("volume_percent")
    volume = "" if percent is None else f"volume {percent} %"
    if condition not in (None, *_QUIET_OR_FINE):
        yield "loudspeaker", f"replies are not heard: {condition}"
        yield TO_DO, "jarvis-ear devices; then speaker.device"
    elif condition or volume:
        yield "loudspeaker", ", ".join(filter(None, [condition, volume]))


def _near_misses(report: Mapping[str, Any]) -> Iterator[Row]:
    if report.get("near_miss_reason"):
        count, best = report["near_misses_in_hour"], report["near_miss_best_score"]
        yield "near misses", f"{count} of the wake word in the last hour, best score {best:.2f}"
        yield "", f"{duration(report['near_miss_s_ago'])} ago: {report['near_miss_reason']}"
        yield TO_DO, f"if that was you: {report['near_miss_remedy']}"


def _neighbours(report: Mapping[str, Any]) -> Iterator[Row]:
    """Describe the event bus and the ears of other rooms, if there are any."""
    if report.get("bus", "off") != "off":
        off = [name for name, enabled in report.get("modules", {}).items() if not enabled]
        switched = f"; switched off: {', '.join(off)}" if off else ""
        yield "event bus", f"{report['bus']}{switched}"
    if report.get("rooms", "off") != "off":
        ears = ", ".join(report.get("rooms_ears", ())) or "no other ear"
        yield "rooms", f"group {report['rooms']} with {ears}"
        here, there = report.get("rooms_answered_here"), report.get("rooms_answered_elsewhere")
        yield "", f"wake words answered here: {here}, elsewhere: {there}"


def _others(report: Mapping[str, Any]) -> Iterator[Row]:
    """Describe what has no separate row and is not zero."""
    described = {*_DESCRIBED, *report.get("counters", ())}
    for name, value in report.items():
        is_said = isinstance(value, str | int | float) and value not in (0, "", "off")
        if is_said and name not in described:
            yield name.replace("_", " "), "yes" if value is True else str(value)


def _running(report: Mapping[str, Any]) -> Iterator[Row]:
    if "uptime_s" in report:
        version = f"version {report['version']}, " if report.get("version") else ""
        yield "running", f"for {duration(report['uptime_s'])}; {version}process {report.get('pid')}"


def _named(name: str, texts: Sequence[str]) -> Iterator[Row]:
    for place, text in enumerate(texts):
        yield "" if place else name, text


def _turn(turn: Mapping[str, Any]) -> str:
    """Return when a turn ended, how, and what was not heard of its reply; the log has the rest."""
    first, *others = str(turn["story"]).split("; ")
    unheard = [part for part in others if part.startswith(("nothing heard", "heard in part"))]
    unheard += [part for part in others if part == "interrupted"]
    return f"{duration(turn['ended_s_ago'])} ago: {'; '.join((_brief(first), *unheard))}"


def _brief(outcome: str) -> str:
    """Return "done in 1.0 s" for "done in 994 ms: 800 endpoint, ..."; other texts as they are."""
    words, has_stages, _ = outcome.partition(" ms: ")
    start, _, number = words.rpartition(" ")
    if not has_stages or not number.isdigit():
        return outcome
    return f"{start} {int(number) / 1000:.1f} s"
