"""What happened in each turn, as the journal, the console and the bus see it."""
