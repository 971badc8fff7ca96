"""A server of PostgreSQL for tests, where the machine has one: its own cluster in a folder of the tests."""

import contextlib
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

_FAST = ("-c", "fsync=off", "-c", "full_page_writes=off", "-c", "shared_buffers=16MB", "-c", "max_connections=20")


def programs() -> Path | None:
    """Returns the folder of the server's programs; None where there is none."""
    candidates = [*sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)]
    found = shutil.which("initdb")
    candidates += [Path(found).resolve().parent] if found else []
    return next((one for one in candidates if (one / "initdb").exists() and (one / "postgres").exists()), None)


def _owner() -> str | None:
    """Returns the user that the server runs as: it refuses to be root."""
    if os.geteuid() != 0:
        return None
    known = {one.pw_name for one in pwd.getpwall()}
    return next(name for name in ("postgres", "nobody") if name in known)


@contextlib.contextmanager
def postgres() -> Iterator[str]:
    """Serves an empty cluster; yields the address of its superuser `admin`, by which a test adds all else."""
    bin_ = programs()
    if bin_ is None:
        pytest.skip("no PostgreSQL server is installed on this machine")
    owner = _owner()
    # In no folder of pytest's, which other users, such as the server's, may not enter.
    with tempfile.TemporaryDirectory(prefix="backstay-postgres-") as place:
        folder = Path(place)
        if owner is not None:
            shutil.chown(folder, owner)
        yield from _served(bin_, folder, owner)


def _served(bin_: Path, folder: Path, owner: str | None) -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    data = folder / "data"
    make = [bin_ / "initdb", "-D", data, "-U", "admin", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"]
    subprocess.run(make, user=owner, cwd=folder, check=True, capture_output=True)
    serve = [bin_ / "postgres", "-D", data, "-p", str(port), "-h", "127.0.0.1", "-k", folder, *_FAST]
    with (folder / "log").open("w") as log:
        server = subprocess.Popen(serve, user=owner, cwd=folder, stdout=log, stderr=log)
    try:
        ready = [bin_ / "pg_isready", "-h", "127.0.0.1", "-p", str(port), "-t", "60"]
        for _ in range(300):
            if subprocess.run(ready, capture_output=True).returncode == 0:
                break
            assert server.poll() is None, (folder / "log").read_text()
            with contextlib.suppress(subprocess.TimeoutExpired):
                server.wait(0.1)
        yield f"postgresql://admin@127.0.0.1:{port}/postgres"
    finally:
        server.terminate()
        server.wait(30)
