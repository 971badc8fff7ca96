"""What counts as the public network, whatever the version of Python thinks of it."""

import ipaddress

import pytest

from backstay.tools.ready.public_addresses import address_of, is_metadata, is_public


@pytest.mark.parametrize(
    "text",
    [
        *("127.0.0.1", "127.255.255.254", "0.0.0.0", "10.1.2.3", "100.64.0.1", "100.100.100.200", "169.254.169.254"),
        *("172.16.0.1", "172.31.255.255", "192.0.0.9", "192.0.2.1", "192.168.1.1", "192.88.99.1", "198.18.0.1"),
        *("198.51.100.1", "203.0.113.1", "224.0.0.1", "239.1.1.1", "240.0.0.1", "255.255.255.255", "168.63.129.16"),
        *("::", "::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::127.0.0.1", "64:ff9b::7f00:1", "64:ff9b:1::1"),
        *("2002:7f00:1::", "2001::1", "2001:db8::1", "3fff::1", "fc00::1", "fd00:ec2::254", "fe80::1", "fec0::1"),
        *("ff02::1", "100::1", "5f00::1", "4000::1"),
    ],
)
def test_an_address_that_is_not_of_the_public_network_is_not_public(text: str) -> None:
    assert not is_public(ipaddress.ip_address(text))


@pytest.mark.parametrize("text", ["8.8.8.8", "172.32.0.1", "192.0.1.1", "2606:4700::1111", "::ffff:8.8.8.8", "2a00::1"])
def test_an_address_of_the_public_network_is_public(text: str) -> None:
    assert is_public(ipaddress.ip_address(text))


def test_a_denied_network_is_not_public() -> None:
    own = [ipaddress.ip_network("8.8.8.0/24"), ipaddress.ip_network("2a00::/16")]
    assert not is_public(ipaddress.ip_address("8.8.8.8"), own)
    assert not is_public(ipaddress.ip_address("::ffff:8.8.8.8"), own)
    assert not is_public(ipaddress.ip_address("2a00::1"), own)
    assert is_public(ipaddress.ip_address("8.8.4.4"), own)


def test_a_text_is_an_address_only_as_the_system_writes_it() -> None:
    assert address_of("8.8.8.8") == ipaddress.ip_address("8.8.8.8")
    assert address_of("::ffff:8.8.8.8") == ipaddress.ip_address("8.8.8.8")
    assert [address_of(text) for text in ("127.1", "0177.0.0.1", "localhost", "fe80::1%eth0", "")] == [None] * 5


def test_addresses_that_hand_out_credentials_are_known() -> None:
    known = ["169.254.169.254", "168.63.129.16", "100.100.100.200", "fd00:ec2::254"]
    assert all(is_metadata(ipaddress.ip_address(text)) for text in known)
    assert not is_metadata(ipaddress.ip_address("10.0.0.1"))
