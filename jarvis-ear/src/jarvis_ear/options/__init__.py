"""Options and verbs: what the command lines of both programs share. Knows neither of them."""
