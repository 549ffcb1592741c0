"""Service: installing the ear as a system service, removing it, and saying how it does."""
