"""The health of the ear in words. Imports nothing heavy: a person waits for it."""

from collections.abc import Mapping
from typing import Any, Final


def describe(report: Mapping[str, Any]) -> str:
    """Write a report for people."""
    lines = [
        _headline(report),
        f"{'connected' if report.get('connected') else 'not connected'} to the backend",
    ]
    lines += [f"{name}: {value}" for name, value in report.items() if name not in _TOLD]
    lines += [f"{turn['ended_s_ago']:.0f} s ago: {turn['story']}" for turn in report["turns"]]
    return "\n".join(lines) + "\n"


_TOLD: Final = ("state", "hearing", "connected", "turns", "muted_by", "stuck")


def _headline(report: Mapping[str, Any]) -> str:
    if report.get("muted_by"):
        return f"muted by the {', '.join(report['muted_by'])}"
    if not report["hearing"]:
        return "deaf: there is no sound from the microphone"
    stuck = f" (stuck: {', '.join(report['stuck'])})" if report["stuck"] else ""
    return f"hearing, {report['state']}{stuck}"
