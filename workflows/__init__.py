"""Orchestration: deterministic workflows that obey what the kernel decides."""
