"""JournalHandler: gives every record to the journal, field by field."""

import logging

from jarvis_ear.system.journal_socket import JournalSocket
from jarvis_ear.system.log_record import entry


class JournalHandler(logging.Handler):
    """Made and closed by whoever sets up logging; any thread logs, one at a time.

    A record that the journal does not take is dropped and counted: no thread of the ear hangs with
    it. The next one that gets through says how many are missing.
    """

    def __init__(self, journal: JournalSocket) -> None:
        super().__init__()
        self._journal = journal
        self.lost = 0
        """Records that the journal did not take."""
        self._untold = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Hand over a record."""
        told = entry(record)
        if self._untold:
            told["RECORDS_LOST"] = self._untold
        try:
            self._journal.send(told)
        except OSError:
            self.lost += 1
            self._untold += 1
        else:
            self._untold = 0

    def close(self) -> None:
        """Let go of the journal."""
        self._journal.close()
        super().close()
