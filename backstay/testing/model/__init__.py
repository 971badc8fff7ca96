"""The scripted model: a server that plays scripts."""
