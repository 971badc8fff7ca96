"""Reads the host of a link in any spelling that some browser or HTTP library reads, and tells which hosts are local."""

import ipaddress
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote

from backstay.kernel.characters import UNSEEN

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_STOPS: Final = str.maketrans("\u3002\uff0e\uff61", "...")
_ROUNDS: Final = 8
_LONGEST: Final = 1_000
_DISPUTED: Final = re.compile(r"[\\\s]")  # where one reader goes on, another sees the end
_BRACKETED: Final = re.compile(r"\[(?P<host>[^\[\]]*)\](?::(?P<port>[0-9]*))?")
_ESCAPED_BRACKETS: Final = re.compile(r"\[([^\[\]]*)\]")
_NUMBER: Final = re.compile("0x[0-9a-f]*|[0-9]+")
_LABEL_SIGNS: Final = "-_"

_NAMES: Final = frozenset(
    {
        *("localhost", "localhost4", "localhost6", "ip6-localhost", "ip6-loopback", "loopback", "metadata"),
        *("instance-data", "metadata.tencentyun.com", "kubernetes.default"),
    }
)
_SUFFIXES: Final = (
    *("localhost", "local", "internal", "localdomain", "localdomain4", "localdomain6", "home.arpa", "lan", "intranet"),
    *("corp", "home", "private", "svc"),
)
# The metadata services of clouds that do not use a link-local address.
_SERVICES: Final = frozenset(
    map(
        ipaddress.ip_address,
        ("100.100.100.200", "192.0.0.192", "168.63.129.16", "fd00:ec2::254", "fd20:ce::254", "fd00:42::42"),
    )
)
_BROADCAST: Final = ipaddress.IPv4Address("255.255.255.255")
# IPv6 networks that carry an IPv4 address in their last 32 bits.
_CARRIERS: Final = tuple(
    map(ipaddress.IPv6Network, ("::/96", "::ffff:0:0/96", "::ffff:0:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48"))
)


@dataclass(frozen=True, slots=True)
class Host:
    """A host as a link spells it: its name in one spelling, and the addresses that a reader may take it for."""

    name: str
    addresses: tuple[Address, ...] = ()
    port: str = ""

    @property
    def is_single(self) -> bool:
        """Tells whether this is a name without a dot, which only a network's own name server knows."""
        return not self.addresses and "." not in self.name

    @property
    def is_local(self) -> bool:
        """Tells whether this is a loopback or link-local address, a metadata service, or a name kept for local use."""
        if self.addresses:
            return any(map(_is_local, self.addresses))
        return self.name in _NAMES or self.name.endswith(tuple(f".{suffix}" for suffix in _SUFFIXES))

    def is_same(self, other: "Host") -> bool:
        """Tells whether two hosts are one, by name or by an address."""
        return self.name == other.name or not set(self.addresses).isdisjoint(other.addresses)


def read_host(authority: str) -> Host | None:
    """Reads the host of a link's part between `//` and the path; None where readers may disagree about it."""
    user, _, rest = authority.rpartition("@")
    if "@" in user or len(rest) > _LONGEST or _DISPUTED.search(authority):
        return None
    if rest.startswith("[") or rest.count(":") > 1:
        bracketed = _BRACKETED.fullmatch(rest)
        host, port = bracketed.group("host", "port") if bracketed else (rest, "")
        return _sixth(host, port or "")
    host, _, port = rest.partition(":")
    if port and not (port.isascii() and port.isdigit()):
        return None
    return _fourth(plain_host(host), port)


def plain_host(text: str) -> str:
    """Returns a host in small letters, without escapes, wide signs, signs that show nothing, and outer dots."""
    for _ in range(_ROUNDS):
        before = text
        text = unicodedata.normalize("NFKC", UNSEEN.sub("", unquote(text)).translate(_STOPS)).casefold()
        if text == before:
            break
    return text.strip(".")


def _sixth(text: str, port: str) -> Host | None:
    """Reads an IPv6 address; a zone such as `%eth0` does not count, and some readers take other escapes for one."""
    found: list[ipaddress.IPv6Address] = []
    unescaped = _ESCAPED_BRACKETS.sub(r"\1", plain_host(text))
    for spelled in dict.fromkeys((text.partition("%")[0], unescaped.partition("%")[0])):
        try:
            found.append(ipaddress.IPv6Address(spelled))
        except ValueError:
            continue
    addresses = [address for outer in found for address in (outer, *_carried(outer))]
    return Host(found[0].compressed, tuple(addresses), port) if found else None


def _fourth(text: str, port: str) -> Host | None:
    """Reads an IPv4 address in all its spellings, such as 127.1, 0x7f000001 and 0177.0.0.1, or else a name."""
    labels = text.split(".")
    if not _NUMBER.fullmatch(labels[-1]):
        return Host(text, (), port) if all(map(_is_label, labels)) else None
    found = [_number(labels, base) for base in (8, 10)]
    addresses = tuple(dict.fromkeys(address for address in found if address is not None))
    return Host(str(addresses[0]), addresses, port) if found[0] is not None else None


def _number(labels: list[str], base: int) -> ipaddress.IPv4Address | None:
    """Reads numbers as an address; `base` is that of a number with a leading zero, where readers disagree."""
    if len(labels) > 4 or not all(map(_NUMBER.fullmatch, labels)):
        return None
    try:
        *first, last = (_value(label, base) for label in labels)
    except ValueError:  # 08 has no octal value
        return None
    if any(number > 255 for number in first) or last >= 256 ** (4 - len(first)):
        return None
    high = sum(number << 8 * (3 - place) for place, number in enumerate(first))
    return ipaddress.IPv4Address(high + last)


def _value(label: str, base: int) -> int:
    if label.startswith("0x"):
        return int(label[2:] or "0", 16)
    return int(label, base if label.startswith("0") else 10)


def _carried(address: ipaddress.IPv6Address) -> Iterator[ipaddress.IPv4Address]:
    """Yields the IPv4 addresses that an IPv6 address leads to by a translator or a tunnel."""
    number = int(address)
    if any(address in network for network in _CARRIERS) or (number >> 32) & 0xFDFFFFFF == 0x5EFE:
        yield ipaddress.IPv4Address(number & 0xFFFFFFFF)
    if address.sixtofour:
        yield address.sixtofour
    yield from address.teredo or ()


def _is_local(one: Address) -> bool:
    usual = one.is_loopback or one.is_link_local or one.is_unspecified or one.is_multicast
    return usual or one in _SERVICES or one == _BROADCAST


def _is_label(label: str) -> bool:
    return bool(label) and all(
        sign.isalnum() or sign in _LABEL_SIGNS or unicodedata.category(sign)[0] == "M" for sign in label
    )
