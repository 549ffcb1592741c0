"""The voice ear: an always-on "Hey Jarvis" room microphone for Linux."""

__version__ = "0.1.0"
