"""Journal records: the names of their fields, and the kinds of events. Plain data."""
