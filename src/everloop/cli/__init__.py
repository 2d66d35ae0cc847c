"""The command line: thin commands, each in a file of its own, loaded when it is called."""
