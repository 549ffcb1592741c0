"""Arithmetic on PCM16. No devices, no files, no clock."""
