"""What the journal is told: the names of its fields, and the kinds of events. Plain data."""
