"""EndOfSound: how a source says that it is finished."""


class EndOfSound(Exception):
    """The source has no more sound and never will have."""
