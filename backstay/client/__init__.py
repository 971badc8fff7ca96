"""Starts, lists and answers runs from any process."""
