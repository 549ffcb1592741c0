"""Doctor: checks everything that the ear depends on, and says how to repair it."""
