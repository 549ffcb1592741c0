"""Whether the ear hears, and the report that says so."""
