"""Keeps secrets, and removes their values from texts."""
