"""The command and its surroundings: terminal, event loop, exit codes, failures."""
