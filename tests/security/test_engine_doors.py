"""The engine that we start takes no order from a web page, or from a tool of an agent."""

import asyncio
import re
import stat
from pathlib import Path

import httpx2
import pytest

from backstay.adapters.engine.dev_server import DevServer, dev_server
from backstay.errors import ConfigurationError

SIGNAL = "/api/v1/namespaces/default/workflows/any/signal/approve"
# A page may send these from anywhere without asking the browser's leave first.
BY_A_PAGE = {"content-type": "text/plain", "origin": "https://page.example"}
LISTENS = "0A"


def ports_of(pid: int) -> set[int]:
    """Returns the TCP ports on which a process listens, as the kernel tells."""
    sockets = {re.sub(r"\D", "", str(fd.readlink())) for fd in Path(f"/proc/{pid}/fd").iterdir() if fd.is_symlink()}
    lines = [
        line.split() for kind in ("tcp", "tcp6") for line in Path(f"/proc/net/{kind}").read_text().splitlines()[1:]
    ]
    return {int(line[1].rpartition(":")[2], 16) for line in lines if line[3] == LISTENS and line[9] in sockets}


async def answer(port: int, host: str) -> int | None:
    """Posts an approval as a page of another origin does, and returns the status; None where no HTTP is spoken."""
    try:
        async with httpx2.AsyncClient(trust_env=False) as page:
            url = f"http://127.0.0.1:{port}{SIGNAL}"
            sent = await page.post(url, headers={**BY_A_PAGE, "host": host}, content='{"input": []}', timeout=10)
            return sent.status_code
    except httpx2.HTTPError:
        return None


async def answers(server: DevServer) -> dict[tuple[int, str], int]:
    """Posts to every port of a server under every name that it may be called by; returns what was answered."""
    hosts = ("127.0.0.1", "localhost", "page.example", server.address)
    tried = [(port, host) for port in sorted(ports_of(server.pid)) for host in hosts]
    said = await asyncio.gather(*(answer(port, host) for port, host in tried))
    return {place: status for place, status in zip(tried, said, strict=True) if status is not None}


async def test_no_port_of_the_development_server_takes_an_approval_from_a_web_page() -> None:
    async with asyncio.timeout(60), dev_server(ui=True) as server:
        said = await answers(server)
        while 403 not in said.values():  # the HTTP API may open after the rest, and it refuses
            await asyncio.sleep(0.5)
            said = await answers(server)
        assert int(server.address.rpartition(":")[2]) in ports_of(server.pid)
    assert set(said.values()) <= {400, 403, 404, 405}, said


async def test_the_file_of_the_development_server_is_its_owners_alone(tmp_path: Path) -> None:
    file = tmp_path / "temporal.db"
    for _ in ("made", "found readable by all"):
        async with dev_server(database=file):
            kept = list(tmp_path.iterdir())
            assert len(kept) > 1  # the journal beside it
            assert {stat.S_IMODE(path.stat().st_mode) for path in kept} == {0o600}
        file.chmod(0o644)


async def test_a_file_that_cannot_be_kept_is_refused_with_words(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"cannot keep data in .*: the folder is missing"):
        async with dev_server(database=tmp_path / "none" / "temporal.db"):
            pass
