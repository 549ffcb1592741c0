"""Mark: how far an utterance has come, as the next start has to know it."""

from enum import StrEnum


class Mark(StrEnum):
    """The stages between which a killed ear must be able to tell. Part of the spool's format."""

    NEW = "new"
    """Nothing can have run: it may be sent."""
    SENT = "sent"
    """It may have run, and nobody has said so."""
    TAKEN = "taken"
    """The backend has it."""
