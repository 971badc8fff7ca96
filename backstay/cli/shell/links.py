"""Finds the Temporal UI, and the page of a run in it."""

import http.client
import json
from urllib.parse import quote

_UI_ABOVE = 1_000
"""By default a development server serves its UI this many ports above its own port."""
_LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})
_PATIENCE_SECONDS = 0.3


def run_link(ui: str, namespace: str, run_id: str) -> str:
    """Returns the address of a run's page."""
    return f"{ui.rstrip('/')}/namespaces/{quote(namespace, safe='')}/workflows/{quote(run_id, safe='')}"


def find_ui(configured: str | None, address: str) -> str | None:
    """Returns the address of the UI: as configured, else of a development server on this machine, else None."""
    if configured:
        return configured
    host, _, port = address.rpartition(":")
    if host.strip("[]") not in _LOCAL or not port.isdecimal() or int(port) + _UI_ABOVE > 65_535:
        return None
    return f"http://{host}:{int(port) + _UI_ABOVE}" if _serves_ui(host, int(port) + _UI_ABOVE) else None


def _serves_ui(host: str, port: int) -> bool:
    connection = http.client.HTTPConnection(host, port, timeout=_PATIENCE_SECONDS)
    try:
        connection.request("GET", "/api/v1/settings")
        response = connection.getresponse()
        return response.status == 200 and isinstance(json.loads(response.read(100_000)), dict)
    except (OSError, ValueError, http.client.HTTPException):
        return False
    finally:
        connection.close()
