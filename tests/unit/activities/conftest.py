"""A world of its own for every test."""

import pytest

from .world import World


@pytest.fixture
def world() -> World:
    """A worker that serves the agent `clerk` with the one tool `pay`."""
    return World()
