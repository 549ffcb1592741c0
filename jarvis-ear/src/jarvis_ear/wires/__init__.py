"""The protocols of the backends: one file each, with codec, dialect and handshake."""
