"""Where jobs run: a port that any engine able to run a command can fill."""
