"""Metrics of the ear for Prometheus: their text, and a small HTTP server."""
