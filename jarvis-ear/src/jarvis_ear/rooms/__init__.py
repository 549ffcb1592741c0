"""Ears in several rooms that answer a wake word once."""
