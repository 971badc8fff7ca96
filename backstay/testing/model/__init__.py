"""Plays scripts as a model server."""
