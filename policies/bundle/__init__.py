"""Builds the rules of an agent: read, checked, ready to be evaluated."""
