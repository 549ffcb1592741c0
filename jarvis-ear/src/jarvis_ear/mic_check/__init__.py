"""Mic check: ten seconds of a microphone, judged in plain words."""
