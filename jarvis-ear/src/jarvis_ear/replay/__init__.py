"""Recordings heard again, in the way in which the running ear hears, to explain and tune it."""
