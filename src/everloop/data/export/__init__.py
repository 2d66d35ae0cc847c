"""Snapshots written out in the layouts that other tools read, one file a format."""
