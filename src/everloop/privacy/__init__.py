"""What is taken out of a picture before a labeller sees it, and the version of those rules."""
