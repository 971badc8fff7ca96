"""Holds the ready-made tools that an agent lists as `std:NAME`; a worker imports those that some agent lists."""
