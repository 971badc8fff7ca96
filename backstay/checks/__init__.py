"""Judges agents, rules, settings and histories without running anything."""

from backstay.extras import require

require("worker")
