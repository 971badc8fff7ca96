"""A link to a local address is seen in any spelling that readers of links take for the same, and no other link is."""

import ipaddress
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backstay.tools.local_addresses import local_addresses

FOURTH = st.one_of(
    st.sampled_from(["127.0.0.1", "169.254.169.254", "0.0.0.0", "100.100.100.200"]),
    st.integers(1, 254).map("127.0.0.{}".format),
).map(ipaddress.IPv4Address)
NAMES = st.sampled_from(
    [
        *("localhost", "ip6-localhost", "metadata", "metadata.google.internal", "instance-data.ec2.internal"),
        *("host.docker.internal", "kubernetes.default.svc", "a.localhost", "x.lan", "db", "temporal.example.com"),
    ]
)
WIDE = {ord(sign): ord(sign) + 0xFEE0 for sign in "0123456789abcdefghijklmnopqrstuvwxyz"}


def _numbers(address: ipaddress.IPv4Address) -> list[str]:
    parts = [int(part) for part in str(address).split(".")]
    return [
        *(str(address), str(int(address)), hex(int(address)), f"0{int(address):o}", f"0X{int(address):08X}"),
        ".".join(f"0{part:o}" for part in parts),
        *(".".join(map(hex, parts)), ".".join(f"{part:03}" for part in parts)),
        *(f"{parts[0]}.{int(address) & 0xFFFFFF}", f"{parts[0]}.0x{parts[1]:x}.{int(address) & 0xFFFF}"),
    ]  # fmt: skip


def _sixths(address: ipaddress.IPv4Address) -> list[str]:
    low, number = str(address), int(address)
    return [
        *(f"[::ffff:{low}]", f"[::{low}]"),
        *(f"[64:ff9b::{low}]", f"[::ffff:0:{low}]", f"[2001:db8::5efe:{low}%25eth0]"),
        f"[2002:{number >> 16:x}:{number & 0xFFFF:x}::]",
        f"[{ipaddress.IPv6Address(0xFFFF << 32 | number).exploded.upper()}]",
    ]


@st.composite
def _hosts(draw: st.DrawFn) -> str:
    """A local host: a name in any spelling, an address in numbers, or one inside an IPv6 address."""
    address = draw(FOURTH)
    host = draw(st.one_of(NAMES, st.sampled_from(_numbers(address)), st.sampled_from(_sixths(address))))
    if host.startswith("["):
        return draw(st.sampled_from([host, host.upper().replace("%25ETH0", "%25eth0")]))
    rewrite: list[Callable[[str], str]] = draw(st.lists(st.sampled_from(SPELLINGS), max_size=3))
    position = draw(st.integers(0, len(host)))
    for one in rewrite:
        host = host[:position] + one(host[position:]) if "%" not in host else host
    return host


SPELLINGS: list[Callable[[str], str]] = [
    str.upper,
    lambda text: text.translate(WIDE),
    lambda text: text.replace(".", "\u3002"),
    lambda text: text.replace(".", "\uff0e"),
    lambda text: text.replace(".", "\uff61"),
    lambda text: text + ".",
    lambda text: f"\u00ad{text}",
    lambda text: f"\u200b{text}\u2060",
    lambda text: text.replace("o", "\u24de").replace("1", "\u2460"),
    lambda text: "".join(f"%{byte:02x}" for byte in text.encode()),
]
SCHEMES = ["http://", "HTTPS://", "http:", "http:/", "http:\\", "https:////", "ws://", " \x00http://", "ht\ntp:\t//"]
AFTER = ["", "/", ":8080/x", "?q", "#f", "/a@good.example", "\\@good.example"]


@given(_hosts(), st.sampled_from(SCHEMES), st.sampled_from(["", "ann@", "good.example:x@"]), st.sampled_from(AFTER))
def test_any_spelling_of_a_local_link_is_seen(host: str, scheme: str, user: str, after: str) -> None:
    assert local_addresses({"text": f"{scheme}{user}{host}{after}"}, "temporal.example.com") == ["text"]


@given(_hosts(), st.sampled_from(["baseUrl", "host", "proxyHost", "webhook_url"]))
def test_any_spelling_of_a_local_host_is_seen_without_a_scheme(host: str, name: str) -> None:
    assert local_addresses({name: f"//{host}"}, "temporal.example.com") == [name]


PUBLIC = [
    *("example.com", "www.example.com", "good.example", "8.8.8.8"),
    *("1.1.1.1", "9.9.9.9", "93.184.216.34", "172.217.0.1"),
    *("126.255.255.255", "128.0.0.1", "169.253.1.1", "169.255.1.1", "10.0.0.7", "192.168.1.20", "203.0.113.9"),
    *("[2606:4700:4700::1111]", "[2001:4860:4860::8888]", "[2001:db8::1]", "[::ffff:8.8.8.8]", "[64:ff9b::808:808]"),
    *("[2620:fe::fe]", "[2002:808:808::1]", "134744072"),
    *("0x08080808", "8.526344", "b\u00fccher.example", "xn--bcher-kva.example"),
    *("localhost.example.com", "mylocalhost.com", "internal.example.com", "local.io", "metadata.dev", "corp.com"),
    *("127.0.0.1.example.com", "home.de", "lan.party"),
    *("a-b_c.example.org", "sub.domain.co.uk", "docker.com", "svc.io"),
    *("example.com.", "EXAMPLE.COM"),
]  # fmt: skip


@pytest.mark.parametrize("host", PUBLIC)
def test_a_public_host_raises_no_false_alarm(host: str) -> None:
    links = [f"https://{host}/", f"http://{host}:8080/x?next=http://127.0.0.1", f"wss://ann@{host}#localhost"]
    links += [f"See https://{host}.", f"https://{host}/ is theirs", f"http:{host}/127.0.0.1"]
    assert local_addresses({f"text{at}": link for at, link in enumerate(links)}, "temporal.example.com") == []
    names = ["url", "host", "ip", "origin", "target", "domain", "proxy", "baseUrl"]
    assert local_addresses({name: host for name in names}, "temporal.example.com") == []


@given(
    st.text(),
    st.sampled_from(["url", "text", "host", "target"]),
    st.sampled_from(["", "http://", "//", "http:[", "1."]),
)
def test_any_text_has_an_answer(text: str, name: str, before: str) -> None:
    assert local_addresses({name: before + text}, "localhost") in ([], [name])
