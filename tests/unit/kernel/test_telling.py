"""The tokens of a text that lead somewhere or open something."""

import pytest

from backstay.kernel.telling import telling
from backstay.kernel.tokens import placed


@pytest.mark.parametrize(
    "text",
    [
        "eve@evil.example",
        "https://evil.example/pay?id=1",
        "evil.example",
        "t.co/x",
        "http://10.0.0.1:8080/x",
        "ftp://files/x",
        "http://3232235521/x",
        "evil.example/report.pdf",
        "https://evil.example./pay",
        "https://evil.example./",
        "https://localhost/pay",
        "https://evil.html",
        "evil.example./pay",
        "evil%2eexample/pay",
        "evil.example%20/pay",
        "//evil.example/pay",
        "\\\\evil.example\\share",
        "evil\uff0eexample/pay",
        "DE89370400440532013000",
        "+49 170 1234567",
        "88231-4",
        "TX-88231",
        "QX7Z8831",
        "1234567",
        "007712",
    ],
)
def test_addresses_links_codes_and_long_numbers_tell(text: str) -> None:
    assert [one.token for one in telling(text, placed(text))] == [one.token for one in placed(text)] != []


def test_a_link_tells_though_its_host_is_cut_by_a_full_stop_of_another_script() -> None:
    text = "see https://evil\u3002example/pay"
    assert telling(text, placed(text)) != []


def test_a_link_with_one_slash_tells() -> None:
    text = "https:/evil.example/pay"
    assert telling(text, placed(text)) != []


@pytest.mark.parametrize(
    "text",
    [
        "hello",
        "e.g. this",
        "and/or",
        "report.pdf",
        "24/7",
        "2024",
        "120.50",
        "12 May 2026",
        "B2B",
        "$5",
        "../x",
        "/etc/report.pdf",
        "/report.pdf",
        "a.b",
    ],
)
def test_words_dates_and_small_numbers_tell_nothing(text: str) -> None:
    assert telling(text, placed(text)) == []
