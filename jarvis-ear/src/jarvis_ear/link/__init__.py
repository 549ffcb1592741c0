"""The link to the backend: login, connection, supervision and sending."""
