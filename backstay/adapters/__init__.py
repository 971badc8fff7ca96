"""Reaches the outside world behind the ports: models, agent folders, tools, Temporal, payloads, secrets, notices."""
