"""Microphones, speakers, sound files and models."""
