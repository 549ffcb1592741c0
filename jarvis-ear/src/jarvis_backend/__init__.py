"""The reference backend: speech-to-text, an answer, and text-to-speech on every wire of the ear."""
