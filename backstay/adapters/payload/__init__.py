"""Converts values to Temporal payloads and back, and encrypts them."""
