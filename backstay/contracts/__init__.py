"""Pydantic models of everything that crosses a Temporal boundary, and the names it crosses under."""
