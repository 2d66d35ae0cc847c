"""Telling people: which alarms become which messages, and how those arrive."""
