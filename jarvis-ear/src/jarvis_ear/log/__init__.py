"""The log: set-up, redaction, journal, status line and throttling."""
