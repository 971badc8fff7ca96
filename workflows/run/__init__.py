"""The parts of one run."""
