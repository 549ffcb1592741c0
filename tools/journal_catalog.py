"""Write systemd/jarvis-ear.catalog, the explanations of records for `journalctl -x`."""

import sys

from jarvis_ear.journal.catalog import catalog

if __name__ == "__main__":
    sys.stdout.write(catalog())
