"""The host of a link is read as the readers of links do, and unclear where they disagree."""

import pytest

from backstay.tools.link_hosts import plain_host, read_host


@pytest.mark.parametrize(
    ("authority", "name", "port"),
    [
        ("Good.Example.:443", "good.example", "443"),
        ("ann:word@good.example:", "good.example", ""),
        ("127.1", "127.0.0.1", ""),
        ("0x7f000001:80", "127.0.0.1", "80"),
        ("0x7f.0x.00.1", "127.0.0.1", ""),
        ("2130706433", "127.0.0.1", ""),
        ("010.8.8.8", "8.8.8.8", ""),
        ("[0:0::1]:80", "::1", "80"),
        ("fe80::1%25eth0", "fe80::1", ""),
        ("b\u00fccher.example", "b\u00fccher.example", ""),
    ],
)
def test_a_host_has_one_spelling(authority: str, name: str, port: str) -> None:
    host = read_host(authority)
    assert host is not None
    assert (host.name, host.port) == (name, port)


@pytest.mark.parametrize(
    "authority",
    [
        *("a@b@c.example", "good.example:80a", "good.example:\u0661", "a..b", ""),
        *("a b", "a\\b", "a,b", "{host}", "a%00b"),
        *("[::1", "[::1]x", "1:2:3", "256.1.1.1", "1.2.3.4.5"),
        *("08.1.1.1", "4294967296", "x.1", "1" * 5000, "%ff.example"),
    ],
)  # fmt: skip
def test_a_host_that_readers_disagree_about_is_none(authority: str) -> None:
    assert read_host(authority) is None


def test_a_leading_zero_is_read_in_both_ways() -> None:
    host = read_host("0127.0.0.1")
    assert host is not None
    assert [str(address) for address in host.addresses] == ["87.0.0.1", "127.0.0.1"]
    assert host.is_local


def test_an_escape_of_an_escape_and_wide_signs_are_undone() -> None:
    assert plain_host("%25%36%43ocal\uff28ost\u3002") == "localhost"
