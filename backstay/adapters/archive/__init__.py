"""Keeps evidence of runs outside of the engine: signed, in a folder or a bucket."""
