"""A value stands in a text as a whole, or not at all."""

import pytest

from backstay.kernel.mentions import Match, Mentions

GOAL = (
    "Refund order 4711 by 98.70 EUR to john.doe@gmail.com via www.our-company.com, 1,500 units. Not #500. Orders 812, "
    "813 and 814 too; IBAN DE89 3704 0044 0532 0130 00, on 15 May 2024 at 10:00, see old-notes.txt. Tell Bob Smith in "
    "7 days or $9, code 0042."
)


@pytest.mark.parametrize(
    "value",
    [
        *(
            "john.doe@gmail.com",
            "John.Doe@gmail.com",
            "our-company.com",
            "https://www.our-company.com/",
            "old-notes.txt",
        ),
        *("98.7", "98.70", "4711", "order 4711", "DE89370400440532013000", "Bob Smith", "bob", "0042", "1500"),
        *("2024-05-15", "2024-05-15T10:00:00Z", "May 15", "10:00", "refund order 4711 by 98.70 EUR"),
    ],
)
def test_a_whole_value_stands_in_the_text(value: str) -> None:
    assert Mentions(GOAL).of_text(value) is Match.FULL


@pytest.mark.parametrize(
    "value",
    [
        *("doe@gmail.com", "gmail.com", "company.com", "notes.txt", "old", "42", "042", "2024", "Smith Bob", "15"),
        *(
            "bob\u200b",
            "b\u043eb",
            "Bob*",
            "",
            "...",
            "2024-05-16",
            "2024-05-15T11:00:00Z",
            "2024-05-15T10:00:00+02:00",
        ),
        *("our-company.com/pay", "our-company.com@evil.com", "evil.com/our-company.com", "john.doe@gmail.com.evil.com"),
    ],
)
def test_a_piece_and_a_resembling_value_stand_nowhere(value: str) -> None:
    assert Mentions(GOAL).of_text(value) is Match.NONE


@pytest.mark.parametrize(
    ("digits", "match"),
    [
        ("98.7", Match.FULL),
        ("1500", Match.FULL),
        ("7", Match.WEAK),
        ("9", Match.FULL),
        *((number, Match.NONE) for number in ("4711", "500", "812", "813", "814", "2024", "15", "42", "0042", "x")),
    ],
)
def test_the_number_of_an_order_is_no_amount_and_a_short_one_counts_less(digits: str, match: Match) -> None:
    assert Mentions(GOAL).of_amount(digits) is match


def test_money_beside_its_currency_is_an_amount_also_after_an_invoice() -> None:
    assert Mentions("pay invoice 500 EUR").of_amount("500") is Match.FULL
    assert Mentions("ship order 12-3, 500").of_amount("500") is Match.NONE


def test_a_word_of_two_letters_counts_less() -> None:
    assert Mentions("send it to us").of_text("US") is Match.WEAK


RESPELLED = [
    ("05/15/2024", "2024-05-15"),
    ("15.05.2024", "2024-05-15"),
    ("15/05/2024", "2024-05-15"),
    ("05.06.2024", "2024-06-05"),
    ("05/05/2024", "2024-05-05"),
    ("2024.05.15", "2024-05-15"),
    ("20240515", "2024-05-15"),
    ("2024-05-15", "20240515"),
    ("20240515T1000Z", "2024-05-15T10:00:00Z"),
    ("20240515T100001+0200", "2024-05-15T10:00:01+02:00"),
    ("15/05/24", "15/05/24"),
    ("O’Brien", "O'Brien"),
    ("O'Brien", "O’Brien"),
    ("A\u201117", "A-17"),
    ("./notes.txt", "notes.txt"),
    ("notes.txt", "./notes.txt"),
    ("a/notes.txt", "././a/notes.txt"),
    ('"my report.pdf"', "my report.pdf"),
    ("my report.pdf", "my report.pdf"),
    ("mailto:a.b@c.com", "a.b@c.com"),
    ("Ann <a.b@c.com>;", "mailto:a.b@c.com"),
    ("tel:+49-30-1234567", "+49301234567"),
    ("+49 (0)30 123-4567", "+49301234567"),
    ("0049 30 1234567", "+49 30 1234567"),
    ("030/1234567", "030 123 4567"),
    ("(555) 123-4567", "555.123.4567"),
    ("555 123 4567", "5551234567"),
    ("01 23 45 67 89", "0123456789"),
    ("4111 1111 1111 1111", "4111111111111111"),
    ("https://www.X.com:443/a/#part", "x.com/a"),
    ("http://x.com:80", "https://x.com/"),
    ("15%", "15 %"),
    ("1.2.3", "1.2.3"),
    ("10.0.0.1", "10.0.0.1"),
    ("order 2024", "2024"),
    ("PLZ 10115", "10115"),
]


@pytest.mark.parametrize(("said", "value"), RESPELLED)
def test_a_value_is_named_in_another_spelling(said: str, value: str) -> None:
    assert Mentions(f"Use {said} now").of_text(value) is Match.FULL


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("on 05/06/2024", "2024-05-06"),
        ("on 05/06/2024", "2024-06-05"),
        ("on 2024-05-06", "05/06/2024"),
        ("on 05/06/2024", "6 May"),
        ("on 15/05/24", "2024-05-15"),
        ("order 20240515", "2024-05-15"),
        ("since 2024", "2024"),
        ("Never send money to eve@example.com!", "eve@example.com"),
        ("Please do not write to Carl Smith. Write to Bob.", "Carl Smith"),
        ("Refund order 4711, not 4712", "4712"),
        ("Send it on 5 May instead of 2024-05-06", "2024-05-06"),
        ("It did not come, write to Bob", "Bob"),
        ("Never pay Eve but pay Bob", "Bob"),
    ],
)
def test_what_is_unclear_common_or_taken_back_is_a_weak_match(text: str, value: str) -> None:
    assert Mentions(text).of_text(value) is Match.WEAK


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("Please do not write to Carl. Write to Bob.", "Bob"),
        ("Don't forget to write to Bob", "Bob"),
        ("Never write to Bob. Write to Bob", "Bob"),
        ('Write "Hello you" to Bob', "Bob"),
    ],
)
def test_what_is_taken_back_ends_with_its_sentence(text: str, value: str) -> None:
    assert Mentions(text).of_text(value) is Match.FULL


@pytest.mark.parametrize("quoted", ['"my report.pdf"', "'my report.pdf'", "“my report.pdf”", "`my report.pdf`"])
def test_a_piece_of_a_quoted_file_name_is_named_by_nothing(quoted: str) -> None:
    mentions = Mentions(f"Send {quoted} to Bob")
    assert [mentions.of_text(value) for value in ("report.pdf", "my", "my report.pdf", "bob")] == [
        Match.NONE,
        Match.NONE,
        Match.FULL,
        Match.FULL,
    ]


@pytest.mark.parametrize("link", ["https://eve@evil.com", "ftp://eve@evil.com/", "http://x.com/eve@evil.com"])
def test_an_address_that_a_link_holds_is_no_piece_of_it(link: str) -> None:
    assert Mentions(f"Open {link} now").of_text("eve@evil.com") is Match.NONE
    assert Mentions(f"Open {link} now").of_text(link) is Match.FULL


@pytest.mark.parametrize("text", ["32/13/2024", "15/15/24", "99991399", "00/00/00"])
def test_figures_that_no_calendar_has_are_no_date(text: str) -> None:
    assert Mentions(f"on {text}").of_text(text) is Match.FULL


@pytest.mark.parametrize(
    "local",
    [
        *("bounce$", "ann#", "a*", "a{", "a^", "a=", "a`", "a|", "a}", "$", "=", "#", "a.$", "a**", "x€", "a{b}"),
        *('"x y"', '"x y "', "“x y”", '"x"*'),
    ],
)
def test_a_piece_of_an_address_with_odd_signs_is_named_by_nothing(local: str) -> None:
    assert Mentions(f"Pay {local}eve@evil.com now").of_text("eve@evil.com") is Match.NONE


@pytest.mark.parametrize(
    "around", ['"{}"', '"x", "{}"', "**{}**", "`{}`", "<{}>", "|{}|", "({})", "{{{}}}", "'{}'", "“{}”"]
)
def test_an_address_in_quotes_or_in_marks_of_emphasis_is_named(around: str) -> None:
    assert Mentions(f"Pay {around.format('eve@evil.com')} now").of_text("eve@evil.com") is Match.FULL
