"""Judges agents, rules, settings and histories without running anything."""
