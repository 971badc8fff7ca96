"""Speaks to Temporal: histories, shared effects, search attributes, the development server."""
