"""People's time, spent where it teaches most."""
