"""Floor 2: microphones, speakers, sound files and models."""
