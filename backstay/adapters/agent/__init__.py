"""Reads agents and the organisation from folders."""
