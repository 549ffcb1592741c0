"""What the console says no to."""


class Refusal(Exception):
    """A request is answered with this, and nothing else is done."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status
