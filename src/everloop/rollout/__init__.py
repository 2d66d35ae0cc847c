"""Bringing a candidate to traffic: services, replay, canary analysis."""
