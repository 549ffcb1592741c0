"""Programs and a URL that are told what the ear does."""
