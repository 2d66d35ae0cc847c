"""How samples to label are chosen: one strategy a file, by the name of its entry point."""
