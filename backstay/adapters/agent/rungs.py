"""Checks the other models that an agent may be changed to."""

from pathlib import Path

from backstay.contracts.admission import ModelSpec
from backstay.errors import ConfigurationError

from .toml_file import line_of


def check_rungs(model: ModelSpec, file: Path, *, limited: bool) -> None:
    """Checks that other models have known prices where money is limited, and that a cheaper one is.

    Args:
        model: the agent's model, with the others.
        file: its `agent.toml`.
        limited: whether its budget limits US dollars.

    Raises:
        ConfigurationError: a price is unknown, or `near_limit` may cost more than the model; names the line.
    """
    rungs = [("model.fallback", other) for other in model.fallback]
    if model.near_limit is not None:
        rungs.append(("model.near_limit", model.near_limit))
    if model.context is not None and model.context.model is not None:
        rungs.append(("context.model", model.context.model))
    for key, other in rungs:
        if limited and other.price is None:
            what = f"`{key}`: the price of `{other.name}` is unknown, so it cannot run under a `usd` budget"
            mend = f'write {{ name = "{other.name}", price = {{ input = "0.25", output = "2.00" }} }}'
            raise ConfigurationError(what, where=_place(file, key), mend=mend)
    cheaper = model.near_limit
    if cheaper is not None and cheaper.price and model.price and cheaper.price.exceeds(model.price):
        what = f"`model.near_limit`: `{cheaper.name}` may cost more than `{model.name}`, in its place near the limit"
        raise ConfigurationError(
            what, where=_place(file, "model.near_limit"), mend="name a cheaper model, or leave it out"
        )


def _place(file: Path, key: str) -> str:
    line = line_of(file.read_text("utf-8"), key)
    return f"{file}:{line}" if line else str(file)
