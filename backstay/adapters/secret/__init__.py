"""Reads secrets, and removes their values from texts."""
