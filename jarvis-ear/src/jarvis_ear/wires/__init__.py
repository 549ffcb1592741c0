"""The protocols of the backends: one file for each, codec, dialect and handshake."""
