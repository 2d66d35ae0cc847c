"""A bundle over many pictures at once: all cores, bounded memory, goes on where it was killed."""
