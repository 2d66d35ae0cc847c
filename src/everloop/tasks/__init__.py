"""The modalities: what a sample, a label and an answer are, and how answers are scored."""
