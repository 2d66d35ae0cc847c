"""The port to experiment trackers and model registries."""
