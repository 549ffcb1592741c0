"""The models of openwakeword 0.4.0 in the folder ``models``: files to read, no code."""
