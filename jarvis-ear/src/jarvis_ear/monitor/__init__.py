"""`jarvis-ear monitor`: an ear in a terminal, the running one or one in this process."""
