"""Backstay runs AI agents on Temporal under governance.

Importing this package loads nothing else: take what you need from its modules.
"""

__version__ = "0.1.0"
