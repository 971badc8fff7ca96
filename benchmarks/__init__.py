"""What governance costs: the same load through an `AgentRun` and through a bare floor, side by side."""
