"""Floor 1: from frames to decisions. No devices, no clock, no threads."""
