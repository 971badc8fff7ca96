"""Links that lead to this machine, to its network link or to the engine, however they are spelled."""

from typing import Any

import pytest

from backstay.tools.local_addresses import local_addresses

LOCAL = [
    "http://localhost/x",
    "HTTP://LOCALHOST:8233",
    "http://a.localhost",
    "http://localhost./",
    "http://127.0.0.1:7243/api/v1",
    "http://127.9.9.9",
    "http://127.1",
    "http://2130706433",
    "http://0x7f000001",
    "http://0177.0.0.1",
    "http://0.0.0.0",
    "http://0",
    "http://[::1]/",
    "http://[::]",
    "http://[::ffff:127.0.0.1]",
    "http://[::ffff:7f00:1]",
    "http://[64:ff9b::7f00:1]",
    "http://[fe80::1%25eth0]",
    "http://169.254.169.254/latest/meta-data",
    "http://100.100.100.200",
    "http://metadata.google.internal",
    "http://user:word@127.0.0.1",
    "http://good.example@127.0.0.1",
    "http://%31%32%37.0.0.1",
    "http://\uff11\uff12\uff17.0.0.1",
    "http://127.0.0.1\\@good.example",
    "http://good.example\\@127.0.0.1",
    "http:\\\\127.0.0.1",
    "http://good.example /",
    "http://[broken",
    "http:///x",
    "ftp://localhost",
    "gopher://127.0.0.1:7233/_x",
    "  http://localhost  ",
    "http:/127.0.0.1",
    "http:127.0.0.1",
    "http:\\127.0.0.1",
    "view-source:http:127.0.0.1",
    "jdbc:postgresql://localhost/shop",
    "redis://cache:6379",
    "http://127\u30020\u30020\u30021/",
    "http://local\u00adhost",
    "http://local\u200bhost",
    "\ufeffhttp://localhost",
    "ht\ntp://local\thost",
    "http://0127.0.0.1",
    "http://127.0.0.1.",
    "http://127.0.0.300",
    "http://1.2.3.4.5",
    "http://127.0.0.1%00.good.example",
    "http://a@b@good.example",
    "http://good.example\uff0f@127.0.0.1",
    "http://%5B::1%5D",
    "http://[::127.0.0.1]",
    "http://[::ffff:0:127.0.0.1]",
    "http://[64:ff9b:1::7f00:1]",
    "http://[2002:7f00:1::]",
    "http://[2001:0:7f00:1::]",
    "http://[fd00:ec2::254]",
    "http://[ff02::1]",
    "http://224.0.0.251",
    "http://ip6-localhost",
    "http://ip6-loopback",
    "http://localhost.localdomain",
    "http://metadata/computeMetadata/v1",
    "http://metadata.google.internal",
    "http://instance-data.ec2.internal",
    "http://host.containers.internal",
    "http://gateway.docker.internal",
    "http://kubernetes.default.svc",
    "http://kubernetes.default",
    "http://temporal-ui:8080",
    "https://printer",
    "http://nas.local",
    "http://router.home.arpa",
    "http://wiki.corp",
    "https://good.example/ and then http://127.0.0.1/",
    "https://temporal.example.com:7243",
    "https://TEMPORAL.example.com",
]
ELSEWHERE = [
    "https://good.example/127.0.0.1",
    "https://good.example?next=http://localhost",
    "https://localhost.good.example",
    "https://notlocalhost.example",
    "http://10.0.0.7",
    "https://good.example/ is our shop",
    "HTTP://010.8.8.8/x",
    "s3://bucket/key",
    "file:///srv/data/x",
    "sqlite:///data/shop.db",
    "C:\\Users\\ann",
    "default:\n// a comment",
    "http: a protocol",
    "http:",
    "https://b\u00fccher.example",
    "https://ann:word@good.example:8443/x?y#z",
    "https://8.8.8.8",
    "https://[2001:db8::1]",
    "https://temporal.example.com.good.example",
    "mailto:ann@localhost",
    "see http://localhost:3000 for it",
    "note: localhost",
    "localhost",
    "127.0.0.1",
    "",
]


@pytest.mark.parametrize("link", LOCAL)
def test_a_link_that_leads_here_is_seen(link: str) -> None:
    assert local_addresses({"text": link}, "temporal.example.com") == ["text"]


@pytest.mark.parametrize("link", ELSEWHERE)
def test_what_leads_elsewhere_or_is_no_link_is_let_through(link: str) -> None:
    assert local_addresses({"text": link}, "temporal.example.com") == []


NAMED = [
    *("url", "target_url", "host", "endpoints", "webhook"),
    *("baseUrl", "urlPath", "baseURL", "baseurl", "proxy", "origin"),
    *("target", "callback", "domain", "ip", "serverIp"),
    *("ipv4Address", "hostName", "Webhooks", "redirect_uri", "api-host"),
]  # fmt: skip
BARE = [
    *("localhost", "127.0.0.1:7233", "//localhost/x", "::1"),
    *("temporal.example.com:7233", "127.1", "127.0.0.1/8", "metadata"),
    *("\\\\127.0.0.1\\share", "//temporal", "temporal:7233"),
    *("127\u30020\u30020\u30021", "good.example, 127.0.0.1", "/127.0.0.1"),
]  # fmt: skip


@pytest.mark.parametrize("name", NAMED)
@pytest.mark.parametrize("value", BARE)
def test_an_argument_with_the_name_of_a_link_needs_no_scheme(name: str, value: str) -> None:
    assert local_addresses({name: value}, "temporal.example.com") == [name]
    assert local_addresses({name: "good.example"}, "temporal.example.com") == []


@pytest.mark.parametrize("name", ["url", "baseUrl", "homepage_url", "webhook"])
@pytest.mark.parametrize("value", ["temporal-ui", "{host}/x", "good.example\\@127.0.0.1"])
def test_a_link_of_one_word_or_of_unclear_signs_leads_here(name: str, value: str) -> None:
    assert local_addresses({name: value}, "") == [name]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("origin", "Berlin"),
        ("target", "Berlin/Mitte"),
        ("target", "2130706433"),
        ("target", "0"),
        ("domain", ".example.com"),
        ("domain", "finance"),
        ("location", "home"),
        ("server", "db7"),
        ("host", "db7"),
        ("host", "8.8.8.8:53"),
        ("callback", "on_done()"),
        ("address", "12 High Street\nSpringfield 0, St. Mary"),
        ("url", "/docs/index.html"),
        ("url", "index.html"),
        ("urlPath", "users"),
        ("page", "3"),
        ("curly", "localhost"),
        ("source", "C:\\temp"),
        ("source", "env:prod"),
        ("ip", "2001:db8::1"),
        ("uri", "mailto:ann@good.example"),
    ],
)
def test_a_word_or_number_that_is_no_host_is_let_through(name: str, value: str) -> None:
    assert local_addresses({name: value}, "temporal.example.com") == []


@pytest.mark.parametrize(
    ("link", "engine"),
    [
        ("http://0x0a000005:7243", "10.0.0.5"),
        ("http://[::ffff:10.0.0.5]", "10.0.0.5"),
        ("http://[2001:DB8:0::1]", "[2001:db8::1]"),
        ("http://Temporal.Example.com.", "temporal.example.com"),
    ],
)
def test_the_engine_is_known_in_any_spelling(link: str, engine: str) -> None:
    assert local_addresses({"text": link}, engine) == ["text"]
    assert local_addresses({"text": link}, "other.example.com") == []


@pytest.mark.parametrize(
    "value",
    [{"127.0.0.1": 80}, {"http": "localhost"}, [{"name": ["127.1"]}]],
)
def test_a_value_inside_has_the_name_of_what_is_around_it(value: Any) -> None:
    assert local_addresses({"proxy": value, "label": value, "url": {"method": "get"}}, "") == ["proxy"]


def test_a_postal_address_is_no_link() -> None:
    assert local_addresses({"address": "1 High Street, Localhost", "site": "", "server": "db7"}, "") == []


@pytest.mark.parametrize("value", [["https://good.example", "http://localhost"], {"to": {"x": "http://localhost"}}])
def test_links_are_seen_at_any_depth(value: Any) -> None:
    assert local_addresses({"a": value, "b": 7, "c": None, "d": True}, "") == ["a"]
