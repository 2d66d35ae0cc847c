"""Outside tools behind the ports of the rooms below."""
