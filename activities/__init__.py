"""Every side effect of a run: one verb per module, given its ports by the composition root."""
