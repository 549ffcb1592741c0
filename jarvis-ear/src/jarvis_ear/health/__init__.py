"""Liveness, deaf time and the health report of the ear."""
