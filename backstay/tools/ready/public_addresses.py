"""Tells which addresses belong to the public network, by a table of our own.

`ipaddress.is_global` is not enough: it takes multicast, translators and tunnels for global, and its answer changes with
the patch version of Python.
"""

import ipaddress
from collections.abc import Iterable, Sequence
from typing import Final

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_SPECIAL_4: Final = tuple(
    map(
        ipaddress.IPv4Network,
        (
            *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12"),
            *("192.0.0.0/24", "192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24"),
            *("192.168.0.0/16", "192.175.48.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24"),
            # From 224 on multicast, reserved and broadcast; the last is a metadata service in a public block.
            *("224.0.0.0/3", "168.63.129.16/32"),
        ),
    )
)
_PUBLIC_6: Final = ipaddress.IPv6Network("2000::/3")
_SPECIAL_6: Final = tuple(
    map(
        ipaddress.IPv6Network,
        ("2001::/23", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20"),
    )
)
_METADATA: Final = tuple(
    map(
        ipaddress.ip_network,
        (
            *("169.254.0.0/16", "168.63.129.16/32", "100.100.100.200/32", "192.0.0.192/32"),
            *("fd00:ec2::254/128", "fd20:ce::254/128", "fd00:42::42/128", "fe80::/10"),
        ),
    )
)


def address_of(text: str) -> Address | None:
    """Reads one address as the system writes it; None for anything else, and for one with a zone."""
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        return None
    if isinstance(found, ipaddress.IPv6Address):
        return None if found.scope_id else found.ipv4_mapped or found
    return found


def is_public(address: Address, deny: Iterable[Network] = ()) -> bool:
    """Tells whether an address is reached over the public network; never one in a network of `deny`."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return is_public(address.ipv4_mapped, deny)
        public = address in _PUBLIC_6 and not _within(address, _SPECIAL_6)
    else:
        public = not _within(address, _SPECIAL_4)
    return public and not _within(address, tuple(deny))


def is_metadata(address: Address) -> bool:
    """Tells whether clouds hand out credentials at an address, or whether it is of the network link."""
    return _within(address, _METADATA)


def _within(address: Address, networks: Sequence[Network]) -> bool:
    return any(address.version == network.version and address in network for network in networks)
