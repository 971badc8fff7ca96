"""Does the work of each command, loaded when it runs: a module of the same name as in `commands`."""
