"""The reference backend: it hears what the ear sends, understands, thinks, and answers aloud."""
