"""Write systemd/jarvis-ear.catalog, which `journalctl -x` explains our records with."""

import sys

from jarvis_ear.journal.catalog import catalog

if __name__ == "__main__":
    sys.stdout.write(catalog())
