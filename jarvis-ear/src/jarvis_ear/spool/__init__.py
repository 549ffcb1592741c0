"""Utterances on file: store, format, recovery and ledger."""
