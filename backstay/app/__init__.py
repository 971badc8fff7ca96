"""Composes the application: the one place that knows its folders."""
