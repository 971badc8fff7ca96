"""Checks a word that must be one of a few, and says which one was probably meant."""

from collections.abc import Sequence

from backstay.errors import ConfigurationError
from backstay.kernel.nearest import did_you_mean

from .terminal import clean


def known(kind: str, given: str | None, choices: Sequence[str]) -> None:
    """Checks a word against its choices; None is no word.

    Raises:
        ConfigurationError: the word is none of them; names the nearest, and all.
    """
    if given is None or given in choices:
        return
    listed = f"{kind}s are: {', '.join(choices)}"
    meant = did_you_mean(given, choices)
    raise ConfigurationError(f"there is no {kind} `{clean(given)}`", mend=f"{meant} {listed}" if meant else listed)
