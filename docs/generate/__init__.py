"""Generates the reference in `docs/reference/` from the code: `make reference` writes it, a fast test compares it."""
