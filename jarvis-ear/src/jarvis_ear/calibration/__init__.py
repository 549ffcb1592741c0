"""Measures a room, its voices and its loudspeaker, and recommends options."""
