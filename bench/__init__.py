"""Benchmarks of cost and accuracy: `python -m bench`, see docs/benchmarks.md."""
