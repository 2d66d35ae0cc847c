"""How data sets are laid out by other tools: one file a format, each a reader of `Incoming`."""
