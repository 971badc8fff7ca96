"""Names the parts of Backstay that are installed on demand: `pip install 'backstay[worker]'`.

The package alone starts runs and speaks to them. `worker` adds what serving runs needs, and judging without running;
`dev` adds a local Temporal server and what `dev`, `demo` and `compare` need, and includes `worker`. `archive` adds what
an archive in a bucket needs; one in a folder needs nothing. `postgres` adds what `std:sql_query` needs for PostgreSQL,
`mcp` what tools of MCP servers need, beside `worker`.
"""

from collections.abc import Mapping
from importlib.util import find_spec

from backstay.errors import MissingExtraError

EXTRAS: Mapping[str, frozenset[str]] = {
    "worker": frozenset(
        {
            *("aiohttp", "aiosmtpd", "cedarpy", "genai_prices", "httpx2", "jwt", "openai", "opentelemetry", "sqlglot"),
            *("uvloop", "watchfiles"),
        }
    ),
    "dev": frozenset({"jinja2"}),
    "archive": frozenset({"obstore"}),
    "postgres": frozenset({"psycopg", "psycopg_binary"}),
    "mcp": frozenset({"jsonschema_rs", "mcp"}),
}
"""The modules that each extra brings; `dev` also brings the program `temporal`."""


def require(extra: str) -> None:
    """Checks that an extra is installed; a package that needs one calls this before it imports anything else.

    Raises:
        MissingExtraError: a module of it is missing.
    """
    for module in sorted(EXTRAS[extra]):
        if find_spec(module) is None:
            raise MissingExtraError(extra, module)


def installed(extra: str) -> bool:
    """Tells whether an extra is installed."""
    try:
        require(extra)
    except MissingExtraError:
        return False
    return True


def missing_extra(error: ModuleNotFoundError) -> MissingExtraError | None:
    """Returns the error to show for a module that cannot be found; None where no extra brings it."""
    module = (error.name or "").partition(".")[0]
    return next((MissingExtraError(extra, module) for extra, brought in EXTRAS.items() if module in brought), None)
