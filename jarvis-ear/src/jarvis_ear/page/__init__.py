"""The console's page: static files, and how they may be served. No I/O but reading them."""
