"""Delivers notices of approvals."""
