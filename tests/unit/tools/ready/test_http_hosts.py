"""URLs are read by the library that connects, and compared with the allow-list by their parsed host."""

from typing import Any

import pytest
from pydantic import ValidationError

from backstay.errors import ToolError
from backstay.tools.ready.http_hosts import allowed_of, effect_of, host_in, secret_in, secrets_of, target_of
from backstay.tools.ready.settings import HttpTable, endpoint_of


def table(*hosts: Any, **keys: Any) -> HttpTable:
    return HttpTable.model_validate({"hosts": list(hosts), **keys})


def asked(url: str, *hosts: Any, method: str = "GET", **keys: Any) -> str:
    target = target_of(url)
    host_in(allowed_of(table(*hosts, **keys)), target, method)
    return target.host


@pytest.mark.parametrize(
    "url",
    [
        *("", "allowed.example", "//allowed.example/", "file:///etc/passwd", "ftp://allowed.example/", "http:///x"),
        *("http://user@allowed.example/", "http://allowed.example@evil.example/", "http://:p@allowed.example/"),
        *("http://allowed.example\\@evil.example/", "http://evil.example\\.allowed.example/", "http:\\\\evil.example"),
        *("http://allowed.example /", "http://allowed.example\n/", "http://allowed.example\u200b/", "http://a:99999/"),
        "http://allowed.example/" + "x" * 8_000,
    ],
)
def test_a_url_that_two_readers_may_read_differently_is_refused(url: str) -> None:
    with pytest.raises(ToolError, match=r"^url_refused: "):
        target_of(url)


@pytest.mark.parametrize(
    "url",
    [
        *(
            "http://allowed.example.evil/",
            "http://evil.example/#@allowed.example",
            "http://evil.example?allowed.example",
        ),
        *("http://allowed.example%2eevil.example/", "http://xallowed.example/", "http://sub.allowed.example/"),
        *("http://\u0430llowed.example/", "http://xn--llowed-2nf.example/", "http://evil.example/allowed.example"),
        "http://allowed.example:80.evil.example/",
    ],
)
def test_a_host_that_only_looks_like_an_allowed_one_is_refused(url: str) -> None:
    with pytest.raises(ToolError, match=r"^(host|url)_refused: "):
        asked(url, "allowed.example")


@pytest.mark.parametrize(
    "url",
    [
        *("http://allowed.example/", "HTTP://ALLOWED.EXAMPLE/", "http://allowed.example./", "https://allowed.example"),
        *("http://allowed\uff0eexample/", "http://allowed.example/#@evil.example", "http://allowed.example/?x=//evil"),
    ],
)
def test_case_and_a_last_point_make_no_other_host(url: str) -> None:
    assert asked(url, "allowed.example") == "allowed.example"


def test_a_pattern_holds_for_all_hosts_below_and_not_for_the_host_itself() -> None:
    assert asked("http://a.docs.example/", "*.docs.example") == "a.docs.example"
    assert asked("http://a.b.docs.example/", "*.docs.example") == "a.b.docs.example"
    for url in ("http://docs.example/", "http://evildocs.example/", "http://a.docs.example.evil/"):
        with pytest.raises(ToolError, match=r"^host_refused: "):
            asked(url, "*.docs.example")


def test_the_narrowest_entry_holds() -> None:
    hosts = ["*", {"name": "*.example", "methods": ["HEAD"]}, {"name": "a.example", "methods": ["PUT"]}]
    assert asked("http://a.example/", *hosts, method="PUT") == "a.example"
    with pytest.raises(ToolError, match=r"^method_refused: .*`PUT`"):
        asked("http://a.example/", *hosts)
    assert asked("http://b.example/", *hosts, method="HEAD") == "b.example"
    assert asked("http://other.test/", *hosts) == "other.test"


def test_ports_and_methods_are_those_that_are_listed() -> None:
    for url in ("http://a.example:22/", "http://a.example:8080/", "http://a.example:0/"):
        with pytest.raises(ToolError, match=r"^port_refused: .*`80`, `443`"):
            asked(url, "a.example")
    assert asked("http://a.example:8080/", {"name": "a.example", "ports": [8080]}) == "a.example"
    for method in ("POST", "TRACE", "CONNECT", "OPTIONS"):
        with pytest.raises(ToolError, match=r"^method_refused: .*`GET`, `HEAD`"):
            asked("http://a.example/", "a.example", method=method)


@pytest.mark.parametrize(
    ("hosts", "methods", "effect"),
    [
        (["a.example"], ["GET", "HEAD"], "read"),
        (["a.example"], ["GET", "PUT"], "write"),
        (["a.example"], ["DELETE"], "write"),
        (["a.example"], ["GET", "POST"], "once"),
        ([{"name": "a.example", "idempotent": True}], ["GET", "POST"], "write"),
        (["b.example", {"name": "a.example", "idempotent": True, "methods": ["PATCH"]}], ["GET"], "write"),
        (["b.example", {"name": "a.example", "idempotent": True}], ["PATCH"], "once"),
    ],
)
def test_the_effect_is_the_strictest_of_all_that_is_allowed(hosts: list[Any], methods: list[str], effect: str) -> None:
    assert effect_of(allowed_of(table(*hosts, methods=methods))) == effect


def test_headers_of_a_host_refer_to_secrets() -> None:
    headers = {"Authorization": "Bearer secret:TOKEN", "X-Key": "secret:KEY", "X-Plain": "plain"}
    assert secrets_of(allowed_of(table({"name": "a.example", "headers": headers}, "b.example"))) == ["KEY", "TOKEN"]
    assert [secret_in(value) for value in headers.values()] == [("Bearer ", "TOKEN"), ("", "KEY"), None]


@pytest.mark.parametrize(
    "keys",
    [
        {"hosts": []},
        {"hosts": ["A.example"]},
        {"hosts": ["http://a.example"]},
        {"hosts": ["a.example:80"]},
        {"hosts": ["a.*.example"]},
        {"hosts": ["a.example/"]},
        {"hosts": ["a.example"], "methods": ["TRACE"]},
        {"hosts": ["a.example"], "ports": [0]},
        {"hosts": ["a.example"], "deny": ["10.0.0.1/8"]},
        {"hosts": ["a.example"], "endpoints": ["10.0.0.1"]},
        {"hosts": ["a.example"], "endpoints": ["169.254.169.254:80"]},
        {"hosts": ["a.example"], "endpoints": ["[fd00:ec2::254]:80"]},
        {"hosts": [{"name": "a.example", "headers": {"Host": "b"}}]},
        {"hosts": [{"name": "a.example", "headers": {"X-A": "b\r\nc"}}]},
    ],
)
def test_a_table_that_says_something_else_than_it_looks_like_is_refused(keys: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        HttpTable.model_validate(keys)


def test_an_endpoint_is_an_address_with_its_port() -> None:
    assert [(str(host), port) for host, port in map(endpoint_of, ("10.0.0.7:8443", "[fd00::7]:80"))] == [
        ("10.0.0.7", 8443),
        ("fd00::7", 80),
    ]
