"""Layer: what one source says about the options."""

from dataclasses import dataclass, field
from typing import Any

from jarvis_ear.options.option import Option, UnfitError


@dataclass(slots=True)
class Layer:
    """The valid values of one source, and its mistakes. Filled by one reader, then only read."""

    source: str
    """What its problems begin with: where a person has to look."""
    values: dict[str, object] = field(default_factory=dict)
    """Values by the key of their option."""
    origins: dict[str, str] = field(default_factory=dict)
    """For each value, where exactly it stands."""
    problems: list[str] = field(default_factory=list)
    """One line for each mistake."""

    def take(self, option: Option, given: object, name: str) -> None:
        """Note what was given for ``option`` under ``name``, or that it is no value for it."""
        try:
            self.values[option.key] = option.parse(given)
        except UnfitError as unfit:
            self.refuse(name, f"given {option.shown(given)}, expected {unfit}")
        else:
            self.origins[option.key] = f"{self.source}: {name}"

    def refuse(self, name: str, why: str) -> None:
        """Note a mistake."""
        self.problems.append(f"{self.source}: {name}: {why}")

    def nested(self) -> dict[str, Any]:
        """Return the values in the shape of the tree."""
        tree: dict[str, Any] = {}
        for key, value in self.values.items():
            *path, name = key.split(".")
            branch = tree
            for part in path:
                branch = branch.setdefault(part, {})
            branch[name] = value
        return tree
