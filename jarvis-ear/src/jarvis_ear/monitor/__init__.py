"""`jarvis-ear monitor`: a running ear in a terminal."""
