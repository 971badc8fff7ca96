"""Measures the cost of governance: runs the same load through `AgentRun` and through a bare workflow, side by side."""
