"""A process that has no descriptor left for anything new."""

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def no_descriptors(spare: int = 1) -> Iterator[None]:
    """Let this process open ``spare`` more descriptors, and no others, inside a ``with``."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    used = max(map(int, os.listdir("/proc/self/fd")))  # noqa: PTH208 - names, no paths
    held = [os.open(os.devnull, os.O_RDONLY) for _ in range(used)]
    highest = max(held, default=used)
    for one in held[-spare:]:
        os.close(one)
    resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 1, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for one in held[:-spare]:
            os.close(one)
