"""Verifies who sent a message, and signs messages as a person."""
