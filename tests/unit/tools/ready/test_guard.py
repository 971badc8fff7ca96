"""Each address is judged before anything is connected to it, and a name by all of its addresses."""

import asyncio
import ipaddress
import socket
from collections.abc import Callable, Sequence

import pytest

from backstay.tools.ready import guard as module
from backstay.tools.ready.guard import CheckedResolver, Guard, LookUp, NotPublicError, look_up


def names(*addresses: str) -> LookUp:
    async def found(host: str, port: int) -> Sequence[str]:
        return addresses

    return found


async def test_a_name_has_its_public_addresses_each_once() -> None:
    found = await CheckedResolver(Guard(look_up=names("8.8.8.8", "8.8.8.8", "2a00::1"))).resolve("a.example", 443)
    assert [(one["host"], one["family"]) for one in found] == [
        ("8.8.8.8", socket.AF_INET),
        ("2a00::1", socket.AF_INET6),
    ]
    assert {(one["hostname"], one["port"]) for one in found} == {("a.example", 443)}


@pytest.mark.parametrize("addresses", [("10.0.0.1",), ("8.8.8.8", "10.0.0.1"), ("8.8.8.8", "::1"), ("nonsense",)])
async def test_a_name_with_one_address_that_is_not_public_is_refused(addresses: tuple[str, ...]) -> None:
    guard = Guard(look_up=names(*addresses))
    with pytest.raises(NotPublicError):
        await CheckedResolver(guard).resolve("a.example", 443)
    assert guard.refused


def connection(host: str, port: int = 443) -> tuple[object, ...]:
    return socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, port)


def test_no_socket_is_made_for_an_address_that_is_not_public(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[object] = []
    monkeypatch.setattr(module.socket, "socket", lambda *given: made.append(given))
    guard = Guard()
    guard.connect(connection("8.8.8.8"))
    with pytest.raises(NotPublicError):
        guard.connect(connection("127.0.0.1"))
    assert len(made) == 1


def test_a_listed_endpoint_is_let_through_with_its_port_only() -> None:
    guard = Guard(also={(ipaddress.ip_address("127.0.0.1"), 8443)})
    assert str(guard.check("127.0.0.1", 8443)) == "127.0.0.1"
    for host, port in (("127.0.0.1", 8444), ("127.0.0.2", 8443)):
        with pytest.raises(NotPublicError):
            guard.check(host, port)


def test_a_denied_network_holds_at_the_socket() -> None:
    with pytest.raises(NotPublicError):
        Guard(deny=[ipaddress.ip_network("8.8.8.0/24")]).check("8.8.8.8", 443)


@pytest.mark.parametrize("host", ["localhost", "127.1", "2130706433", "0x7f000001"])
async def test_the_system_reads_odd_spellings_so_its_answer_is_judged(host: str) -> None:
    assert set(await look_up(host, 80)) <= {"127.0.0.1", "::1"}
    with pytest.raises(NotPublicError):
        await CheckedResolver(Guard()).resolve(host, 80)


async def test_a_look_up_ends_in_time(monkeypatch: pytest.MonkeyPatch) -> None:

    async def never(*_: object, **__: object) -> Callable[[], None]:
        await asyncio.sleep(60)
        raise AssertionError

    monkeypatch.setattr(module, "RESOLVE_SECONDS", 0.05)
    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", never)
    with pytest.raises(TimeoutError):
        await look_up("a.example", 80)
