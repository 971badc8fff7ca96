"""Speaks to Temporal: reads histories, claims effects, registers search attributes, starts the development server."""
