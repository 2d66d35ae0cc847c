"""Tuning: many attempts of one training function, each judged apart from the hold-out."""
