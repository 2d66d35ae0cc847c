"""What the loop does: one short file an Action, each safe to repeat at any point."""
