"""`jarvis-ear console`: a process of its own that shows the running ear in browsers."""
