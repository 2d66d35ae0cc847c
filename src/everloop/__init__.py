"""Everloop, the control plane: the whole life of a machine-learning product in one loop."""
