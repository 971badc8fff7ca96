"""Finds the name of a model in what gateways make of it: providers before it, variants, versions and dates behind."""

import re
from functools import lru_cache

_LISTED = 20_000
_LABELS = re.compile(r"(?:[a-z][a-z0-9]*(?:-[a-z0-9]+)*\.)+(?=[a-z])")
_PROVIDER = re.compile(r"[a-z][a-z_-]*[:](?=[a-z].*\d|[a-z]+-)")
_VERSION = re.compile(r"-v\d+:\d+(?::\w+)?$")
_VARIANT = re.compile(r":(?:online|free|nitro|floor|extended|thinking|beta|exacto|batch|latest|\d)$")
_DATE = re.compile(r"[-@](?:latest|default|20\d\d-?\d\d-?\d\d|\d\d-\d\d|\d{4}|\d{6}|\d{8}|001|002)$")


def bare(name: str) -> str:
    """Returns a model's name without the provider, the variant and the version that a gateway puts around it."""
    found = name.strip().casefold().rpartition("/")[2]
    found = _VARIANT.sub("", _VERSION.sub("", found))
    return _LABELS.sub("", _PROVIDER.sub("", found, count=1), count=1)


@lru_cache(_LISTED)
def plain(name: str) -> str:
    """Returns a bare name without its date, and spelled one way: `claude-opus-4.1` is `claude-opus-4-1`."""
    return re.sub(r"[._\s]+", "-", _DATE.sub("", bare(name)))
