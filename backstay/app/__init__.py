"""Composes the application: the one place that knows its folders."""

from backstay.extras import require

require("worker")
