"""Watching a live model without labels: references, drift, estimated accuracy, signals."""
