"""Floor 1: what becomes of an utterance and of its reply. No sockets; time is an argument."""
