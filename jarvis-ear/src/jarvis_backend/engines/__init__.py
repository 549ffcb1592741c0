"""What turns sound into text, and text into sound. One file per engine."""
