"""Recipients are bare addresses, one in each entry; what libraries read in two ways reaches nobody."""

import pytest

from backstay.errors import ToolError
from backstay.tools.ready.recipients import address_of, addresses_of, recipient_domains


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("ann@example.com", "ann@example.com"),
        ("Ann.B+tag@EXAMPLE.com", "Ann.B+tag@example.com"),
        ("ann@münchen.example", "ann@xn--mnchen-3ya.example"),
        ("ann@\u0430cme.com", "ann@xn--cme-5cd.com"),
        ("ann@a-b.c1.example", "ann@a-b.c1.example"),
    ],
)
def test_a_bare_address_is_one_spelled_in_ascii(text: str, address: str) -> None:
    assert address_of(text) == address


@pytest.mark.parametrize(
    "text",
    [
        *("", "ann", "@example.com", "ann@", "a@x.com, evil@x.com", "a@x.com,evil@x.com", "a@x.com;evil@x.com"),
        *("g: evil@x.com, b@x.com;", '"boss@acme.com" <evil@x.com>', "<a@acme.com>evil@x.com", "Ann <ann@x.com>"),
        *("a@x.com\0", "a\0@x.com", "a@x.com\n", "a@x.com\r\nBcc: evil@x.com", " a@x.com", "a@x.com ", "a b@x.com"),
        *('"a"@x.com', "a(b)@x.com", "a@(b)x.com", "a@b@x.com", "a@x..com", "a@.x.com", "a@x.com.", ".a@x.com"),
        *(
            "a.@x.com",
            "a..b@x.com",
            "a@localhost",
            "a@[127.0.0.1]",
            "a@127.0.0.1",
            "a@-x.com",
            "a@x-.com",
            "ann\u200b@x.com",
        ),
        *(
            "żółw@example.com",
            "a@x_y.com",
            "a%evil.com@",
            "a@ex\u200bample.com",
            "a@x.com\u2028",
            "\ud800@x.com",
            "a@\ud800.com",
        ),
        *("a" * 65 + "@x.com", "a@" + "b" * 64 + ".com", "a@" + "b." * 130 + "com", "a@x.com<evil@x.com>", "a\\@x.com"),
    ],
)
def test_what_is_not_one_bare_address_is_none(text: str) -> None:
    assert address_of(text) is None
    with pytest.raises(ToolError, match=r"^recipient_refused: recipient 2 "):
        addresses_of(["ann@example.com", text], 10)
    assert recipient_domains([text, "ann@example.com"]) == ["", "example.com"]


def test_recipients_are_each_once_and_of_a_number() -> None:
    assert addresses_of(["a@x.com", "b@x.com", "a@X.com"], 3) == ["a@x.com", "b@x.com"]
    for to in ([], ["a@x.com"] * 4):
        with pytest.raises(ToolError, match=r"^recipient_refused: a message has 1 to 3 recipients"):
            addresses_of(to, 3)


def test_rules_read_the_domains_of_whatever_was_written() -> None:
    assert recipient_domains(["a@x.com", "b@Y.com", "c@x.com"]) == ["x.com", "y.com"]
    assert recipient_domains("a@x.com") == ["x.com"]
    assert recipient_domains(["a@x.com", 7, None]) == ["", "x.com"]
    assert recipient_domains(None) == [""]
