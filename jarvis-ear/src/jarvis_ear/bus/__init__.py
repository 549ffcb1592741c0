"""The event bus: connection, session and membership."""
