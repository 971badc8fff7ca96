"""The name of a person, as callers, senders of messages and files of groups may write it."""

from typing import Annotated

from pydantic import AfterValidator, Field

from backstay.kernel.characters import escaped
from backstay.kernel.person import holds_breaks, named_twice, person_key, written_out

LONGEST = 200


def _name(name: str) -> str:
    """Refuses a name that nobody could read or write down."""
    if holds_breaks(name):
        raise ValueError("a name holds no control characters, line breaks or broken characters")
    if written_out(name) > LONGEST:
        raise ValueError(f"a name has at most {LONGEST} characters, ligatures and signs for words written out")
    if not person_key(name):
        raise ValueError("a name holds at least one character that can be seen, and is not escaped again and again")
    return name


def _once_each(names: list[str]) -> list[str]:
    """Refuses a list of people that would count one of them as two."""
    if twice := named_twice(names):
        one, other = map(escaped, twice)
        raise ValueError(f"`{one}` and `{other}` are one person: list each person once")
    return names


Person = Annotated[str, Field(min_length=1, max_length=LONGEST, strict=True), AfterValidator(_name)]
People = Annotated[list[Person], AfterValidator(_once_each)]
"""The members of a group, each once."""
