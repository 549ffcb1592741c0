"""Programs and a URL that get events of the ear."""
