"""Commands of the control socket."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Final, Protocol

from jarvis_ear.health.report import Health
from jarvis_ear.mute import Mute
from jarvis_ear.wires.event_bus import MICROPHONE, MODULES

WORDS: Final = ("status", "mute", "unmute", "toggle", "hush")
"""Commands of every ear."""


MODULE_WORDS: Final[Mapping[str, tuple[str, bool]]] = {
    f"{module}-{'on' if enabled else 'off'}": (module, enabled)
    for module in MODULES
    if module != MICROPHONE  # its commands are mute and unmute
    for enabled in (True, False)
}
"""Further commands of an ear on a bus, for example `vision-off`: the module, and whether on."""


class Modules(Protocol):
    """Switches the modules of a bus. No call blocks."""

    @property
    def is_member(self) -> bool:
        """Whether there is a bus."""

    def switch_module(self, module: str, *, enabled: bool) -> None:
        """Switch one module on or off."""


class ControlCommands:
    """Carries out the commands. Used by the control thread."""

    def __init__(
        self,
        health: Health,
        mute: Mute,
        *,
        on_hush: Callable[[], None] = lambda: None,
        modules: Modules | None = None,
    ) -> None:
        self._modules = modules
        self._health = health
        self._mute = mute
        self._actions: Final[Mapping[str, Callable[[], None]]] = {
            "mute": mute.mute,
            "unmute": mute.unmute,
            "toggle": mute.toggle,
            "hush": on_hush,
            **_switches(modules),
        }

    def answer(self, word: str) -> Mapping[str, object]:
        """Carry out one command, and return the answer."""
        if word == "status":
            return self._health.report()
        action = self._actions.get(word) if self._may(word) else None
        if action is None:
            return {"error": f"expected one of {', '.join(WORDS)}"}
        action()
        return {"muted_by": list(self._mute.by), "stored": self._mute.stored}

    def _may(self, word: str) -> bool:
        """Whether the command is available: a reload may add a bus, or remove it."""
        is_member = self._modules is not None and self._modules.is_member
        return is_member or word not in MODULE_WORDS


def _switches(modules: Modules | None) -> Mapping[str, Callable[[], None]]:
    if modules is None:
        return {}
    return {
        word: partial(modules.switch_module, module, enabled=enabled)
        for word, (module, enabled) in MODULE_WORDS.items()
    }
