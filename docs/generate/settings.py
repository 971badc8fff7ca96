"""Describes the environment variables from the settings."""

from backstay.settings import Settings

from .documented import documented
from .fields import default_of
from .markdown import code, page, table

_TEXT = """\
Workers and commands read these variables. An empty one counts as not set. Temporal's own variables
(`TEMPORAL_ADDRESS`, `TEMPORAL_NAMESPACE`, `TEMPORAL_API_KEY`, TLS, profiles) are read as Temporal's own clients read
them, and `OTEL_EXPORTER_OTLP_ENDPOINT` and its kin switch tracing on."""


def settings() -> str:
    """Returns the page about the environment variables."""
    said = documented(Settings, Settings.model_fields)
    lines: list[tuple[str, str, str]] = []
    for field, info in Settings.model_fields.items():
        alias = info.validation_alias
        name = alias if isinstance(alias, str) else f"BACKSTAY_{field.upper()}"
        lines.append((code(name), default_of(info).replace('"', ""), said[field]))
    return page("Environment variables", _TEXT, table(("variable", "default", "meaning"), lines))
