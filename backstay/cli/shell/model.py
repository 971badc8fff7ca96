"""Chooses the model of a local runtime: the real one where the environment names it, else a scripted one."""

import contextlib
from collections.abc import AsyncGenerator

from backstay.settings import Settings
from backstay.testing import Turn, improvise
from backstay.testing.model.script_file import Scripts
from backstay.testing.model.server import ScriptedModel

SCRIPTED = "scripted"
_PRICE = {"input": "0.25", "cached_input": "0.025", "output": "2.00"}


def has_model(settings: Settings) -> bool:
    """Tells whether the environment names a real model."""
    return bool(settings.openai_api_key or settings.openai_base_url)


@contextlib.asynccontextmanager
async def model_in_use(
    settings: Settings, scripts: Scripts | None = None, default: Turn = improvise
) -> AsyncGenerator[Settings]:
    """Runs a scripted model unless the settings name a real one.

    Args:
        settings: as the environment has them.
        scripts: what the scripted model plays, by goal.
        default: what it plays for any other goal.

    Yields:
        the settings with the address of the model in use.
    """
    if has_model(settings):
        yield settings
        return
    async with ScriptedModel(scripts, default) as model:
        update = {"openai_base_url": model.base_url, "model": SCRIPTED, "model_price": _PRICE}
        yield settings.model_copy(update=update)


def model_line(settings: Settings) -> str:
    """Names the model in use in a few words."""
    if settings.model == SCRIPTED:
        return f"scripted model: no real model is behind it ({settings.openai_base_url})"
    return f"{settings.model} at {settings.openai_base_url or 'api.openai.com'}"
