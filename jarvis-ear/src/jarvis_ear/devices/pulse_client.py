"""How the client library of PulseAudio is to behave inside this process.

Over shared memory, a piece of sound that we have not read to its end is held by us; when the server
dies at that moment, the library waits for us to let go, and we wait for the library. So the sound
comes through the socket: 32 kB a second are no burden.
"""

import os
from collections.abc import Iterator, MutableMapping
from pathlib import Path
from typing import Final

VARIABLE: Final = "PULSE_CLIENTCONFIG"
"""Names the one file that the library reads instead of those of the user and of the system."""

SYSTEM: Final = Path("/etc/pulse/client.conf")


def avoid_shared_memory(environ: MutableMapping[str, str], system: Path = SYSTEM) -> None:
    """Have the library read what it would have read, and one more line. Once per process.

    Call it before the library is loaded. The file has no name on any disk: it ends with us.
    """
    lines = [f".include {path}" for path in _files(environ, system)]
    handle = os.memfd_create("pulse-client.conf")
    os.write(handle, "\n".join([*lines, "enable-shm = no", ""]).encode())
    environ[VARIABLE] = f"/proc/self/fd/{handle}"


def _files(environ: MutableMapping[str, str], system: Path) -> Iterator[Path]:
    """List what the library would have read, in this order."""
    main = next((path for path in _candidates(environ, system) if path.is_file()), None)
    if main is not None:
        yield main
        yield from sorted(main.with_name(f"{main.name}.d").glob("*.conf"))


def _candidates(environ: MutableMapping[str, str], system: Path) -> Iterator[Path]:
    if given := environ.get(VARIABLE, ""):
        yield Path(given)
        return
    home = Path(environ.get("HOME") or "/nonexistent")
    yield home / ".pulse" / "client.conf"
    yield Path(environ.get("XDG_CONFIG_HOME") or home / ".config") / "pulse" / "client.conf"
    yield system
