"""MCP servers: their tools as tools of agents, over stdio and HTTP."""
