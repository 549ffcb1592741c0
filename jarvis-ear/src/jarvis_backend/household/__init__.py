"""What the built-in brain knows without a model and without an account."""
