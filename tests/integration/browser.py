"""Finds a real browser for the tests that look at pages, and says what to install where there is none."""

import os
import shutil

import pytest

FLAGS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync"),
)


def browser() -> str:
    """The browser's program; says what to install where there is none."""
    found = os.environ.get("BACKSTAY_BROWSER") or shutil.which("chromium") or shutil.which("google-chrome")
    if found is None:
        pytest.skip("no browser: install Debian's package `chromium`, or name a Chrome in BACKSTAY_BROWSER")
    return found
