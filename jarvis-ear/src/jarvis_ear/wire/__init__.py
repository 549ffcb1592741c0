"""Floor 1: what is said between the ear and a backend. No sockets."""
