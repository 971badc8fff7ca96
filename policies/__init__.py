"""Policy: decides every call, default deny."""
