"""Samples, annotations, captured predictions and snapshots, in Lance datasets."""
