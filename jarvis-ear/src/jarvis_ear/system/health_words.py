"""The health of the ear in words. Imports nothing heavy: a person waits for it."""

from collections.abc import Mapping
from typing import Any, Final

from jarvis_ear.errors import RemoteProtocolError


def require_report(answer: Mapping[str, Any]) -> None:
    """Raise ``RemoteProtocolError`` unless the answer is a report that can be described."""
    match answer:
        case {
            "state": str(),
            "hearing": bool(),
            "heard_s_ago": None | int() | float(),
            "deaf_s_today": int() | float(),
            "stuck": list(stuck),
            "turns": list(turns),
        } if all(map(_is_turn, turns)) and _are_names(stuck):
            if _are_names(answer.get("muted_by", [])):
                return
        case {"error": str(why)}:
            raise RemoteProtocolError(f"the running ear does not tell how it is: {why}")
    raise RemoteProtocolError("the running ear does not tell how it is: is it of another version?")


def _is_turn(turn: object) -> bool:
    match turn:
        case {"ended_s_ago": int() | float(), "story": str()}:
            return True
    return False


def _are_names(names: object) -> bool:
    return isinstance(names, list) and all(isinstance(name, str) for name in names)


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
