"""Options: what a person configured, read from everywhere it can stand."""

from jarvis_ear.options.load import Loaded, load

__all__ = ["Loaded", "load"]
