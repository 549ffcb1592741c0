"""The whole ear as a program that calls a part hanging after two seconds, not fifteen."""

import sys
from typing import Final

from jarvis_ear import __main__ as program
from jarvis_ear import cli, components

HANGS_S: Final = 2.0


def main() -> int:
    """Run the ear."""
    components.HANGS_S = HANGS_S  # type: ignore[misc]  # the product's is final
    return cli.main(run=program.run)


if __name__ == "__main__":
    sys.exit(main())
