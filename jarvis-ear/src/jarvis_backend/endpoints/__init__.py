"""The wires: each accepts, authenticates, and carries messages to and from a Conversation."""
