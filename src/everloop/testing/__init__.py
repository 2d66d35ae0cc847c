"""Contract tests for the ports: subclass one, give it your implementation, run pytest."""
