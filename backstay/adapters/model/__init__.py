"""Speaks to model providers, and knows what they charge."""
