"""`jarvis-ear console`: a separate process that shows the running ear in browsers."""
