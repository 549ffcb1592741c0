"""Orders: the words of the control socket, and what they do."""

from collections.abc import Callable, Mapping
from typing import Final

from jarvis_ear.system.health import Health
from jarvis_ear.system.mute import Mute

WORDS: Final = ("status", "mute", "unmute", "toggle", "hush")
"""What may be asked."""


class Orders:
    """Does what the owner asks for. Lives in the control thread."""

    def __init__(
        self, health: Health, mute: Mute, *, on_hush: Callable[[], None] = lambda: None
    ) -> None:
        self._health = health
        self._mute = mute
        self._actions: Final[Mapping[str, Callable[[], None]]] = {
            "mute": mute.mute,
            "unmute": mute.unmute,
            "toggle": mute.toggle,
            "hush": on_hush,
        }

    def answer(self, word: str) -> Mapping[str, object]:
        """Carry out one word, and say what there is to say."""
        if word == "status":
            return self._health.report()
        action = self._actions.get(word)
        if action is None:
            return {"error": f"expected one of {', '.join(WORDS)}"}
        action()
        return {"muted_by": list(self._mute.by), "stored": self._mute.stored}
