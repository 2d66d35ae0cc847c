"""What must change all at once: journal, lease, release, label queue, decisions, requests."""
