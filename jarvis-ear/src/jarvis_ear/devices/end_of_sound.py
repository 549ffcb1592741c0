"""EndOfSound: how a source says that it is finished."""


class EndOfSound(Exception):  # noqa: N818 - not an error: every file ends
    """The source has no more sound and never will have."""
