"""The health of the ear in words. Imports nothing heavy: a person waits for it."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

CLIPPED_PERCENT: Final = 0.1
"""As ``audio.clipping.TOO_MUCH`` has it; that module loads numpy."""


def describe(report: Mapping[str, Any]) -> str:
    """Write a report for people."""
    lines = [
        _headline(report),
        *_advice(report),
        f"{'connected' if report.get('connected') else 'not connected'} to the backend",
    ]
    elsewhere = (*_TOLD, *_TOLD_IF_SO)
    lines += [f"{name}: {value}" for name, value in report.items() if name not in elsewhere]
    lines += [f"{turn['ended_s_ago']:.0f} s ago: {turn['story']}" for turn in report["turns"]]
    return "\n".join(lines) + "\n"


_TOLD: Final = ("state", "hearing", "connected", "turns", "muted_by", "stuck")
_TOLD_IF_SO: Final = ("deaf_reason", "deaf_remedy", "clipped_percent", "hears_own_speaker")
"""What has words of its own, and is said only when there is something to say."""


def _headline(report: Mapping[str, Any]) -> str:
    if report.get("muted_by"):
        return f"muted by the {', '.join(report['muted_by'])}"
    if not report["hearing"]:
        return f"deaf: {report.get('deaf_reason') or 'there is no sound from the microphone'}"
    stuck = f" (stuck: {', '.join(report['stuck'])})" if report["stuck"] else ""
    return f"hearing, {report['state']}{stuck}"


def _advice(report: Mapping[str, Any]) -> Iterator[str]:
    """Say what a person can do about the sound."""
    if report.get("deaf_remedy"):
        yield f"to do: {report['deaf_remedy']}"
    if report.get("hears_own_speaker"):
        yield f"{report['source']} is a monitor of a loudspeaker: choose another microphone.device"
    if report.get("clipped_percent"):
        yield (
            f"clipped: {report['clipped_percent']:g} % of the samples of the last minute; "
            f"above {CLIPPED_PERCENT:g} %, lower the gain of the microphone (alsamixer)"
        )
