"""Installation, removal and status of the ear as a system service."""
