"""Floor 2: the host: queues between threads, logs."""
