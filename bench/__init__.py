"""What the ear costs and how well it hears: `python -m bench`, explained in docs/benchmarks.md."""
