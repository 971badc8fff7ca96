"""The outside world behind ports: model providers, price lists, and whatever else a run reaches through I/O."""
