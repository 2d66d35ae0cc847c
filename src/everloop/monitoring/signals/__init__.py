"""The signals, one a file: each with its formula, its source and how often it may be wrong."""
