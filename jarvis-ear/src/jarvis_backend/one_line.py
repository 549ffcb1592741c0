"""Foreign text on one line of a log: what could move a terminal becomes a space."""


def one_line(text: str, most: int = 200) -> str:
    """Return the first ``most`` letters of ``text``, printable, with single spaces."""
    return " ".join("".join(c if c.isprintable() else " " for c in text[:most]).split())
