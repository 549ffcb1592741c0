"""Floor 1: delivery of utterances and of their replies. No sockets; time is an argument."""
