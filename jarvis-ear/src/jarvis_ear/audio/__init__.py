"""Floor 0: arithmetic on PCM16. No devices, no files, no clock."""
