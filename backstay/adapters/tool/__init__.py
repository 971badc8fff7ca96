"""Turns Python functions into tools, checks their arguments and runs them."""
