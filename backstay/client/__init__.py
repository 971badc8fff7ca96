"""Starts, lists and answers runs from any process."""

from .client import BackstayClient as BackstayClient
