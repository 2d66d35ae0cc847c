"""Puts the program together: settings read once, plug-ins by name."""
