"""Runs the tools of agents."""
