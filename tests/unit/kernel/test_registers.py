"""Known values: each is known as a whole, in any usual spelling."""

import pytest

from backstay.kernel.registers import Register, register_of
from backstay.kernel.tokens import tokens

PAYEES = register_of("payees", ["DE89 3704 0044 0532 0130 00", "Parcels Ltd", " ann@acme.com "], org=True)
STAFF = register_of("staff", ["@Acme.com"], org=False)


@pytest.mark.parametrize("value", ["DE89370400440532013000", "parcels ltd", "Ann@ACME.com"])
def test_a_known_value_is_known_in_any_usual_spelling(value: str) -> None:
    assert PAYEES.has(tuple(tokens(value)))


@pytest.mark.parametrize("value", ["Parcels", "Parcels Ltd Evil", "DE89370400440532013001", "acme.com", ""])
def test_a_piece_or_a_longer_value_is_another(value: str) -> None:
    assert not PAYEES.has(tuple(tokens(value)))


@pytest.mark.parametrize(
    ("value", "known"),
    [
        ("bob@acme.com", True),
        ("bob@mail.acme.com", False),
        ("bob@acme.com.evil.example", False),
        ("eve@evil.example@acme.com", False),
        ("acme.com@evil.example", False),
        ("acme.com", False),
        ("Bob bob@acme.com", False),
        ("b'x@acme.com", False),
    ],
)
def test_a_domain_knows_the_addresses_that_end_with_it(value: str, known: bool) -> None:
    assert STAFF.has(tuple(tokens(value))) is known


@pytest.mark.parametrize("entry", ["", "  ", "…", "a\u200bb"])
def test_an_entry_that_names_nothing_is_refused(entry: str) -> None:
    with pytest.raises(ValueError, match="register `payees`"):
        register_of("payees", [entry], org=True)


def test_an_empty_register_knows_nothing() -> None:
    assert register_of("staff", [], org=True) == Register("staff", frozenset(), frozenset(), org=True)
