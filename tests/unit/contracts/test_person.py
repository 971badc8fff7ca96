"""The names of people: what may be written, and that a group lists each person once."""

import pytest
from pydantic import TypeAdapter, ValidationError

from backstay.contracts.person import People, Person

PERSON: TypeAdapter[str] = TypeAdapter(Person)
PEOPLE: TypeAdapter[list[str]] = TypeAdapter(People)


@pytest.mark.parametrize("name", ["ann", " Ann ", "Ann Lee <ann@example.com>", "an\u200bn", "安"])
def test_a_name_stays_as_it_was_written(name: str) -> None:
    assert PERSON.validate_python(name) == name


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("", "at least 1 character"),
        (7, "valid string"),
        ("a" * 201, "at most 200 characters"),
        ("ann\nbob", "no control characters"),
        ("ann\x00", "no control characters"),
        ("ann\u2028", "no control characters"),
        ("㌖" * 34, "at most 200 characters, ligatures"),
        ("%" + "25" * 40 + "61nn", "not escaped again and again"),
        ("\u200b\u00ad", "at least one character that can be seen"),
    ],
)
def test_a_name_that_nobody_could_read_is_refused(name: object, problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        PERSON.validate_python(name)


def test_half_a_character_is_no_name() -> None:
    with pytest.raises(ValidationError):
        PERSON.validate_python("ann\ud800")


def test_a_group_lists_each_person_once() -> None:
    assert PEOPLE.validate_python(["ann", "bob"]) == ["ann", "bob"]
    with pytest.raises(ValidationError, match=r"`ann@example.com` and `Ann <ANN@example.com>` are one person"):
        PEOPLE.validate_python(["ann@example.com", "bob", "Ann <ANN@example.com>"])
