"""From frames to decisions. Only the inbox and the ear thread know threads."""
