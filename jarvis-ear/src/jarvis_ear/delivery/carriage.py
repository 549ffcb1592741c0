"""Carriage: how a wire takes the sound of an utterance."""

from enum import Enum


class Carriage(Enum):
    """Chosen with the wire, once."""

    WHOLE = "whole"
    """In one message, when the utterance is complete."""
    STREAMED = "streamed"
    """In parts, which may go up while the person is still speaking."""
