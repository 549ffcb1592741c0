"""The ear on an event bus: connection, session and membership."""
