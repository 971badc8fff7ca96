"""`backstay keys`: makes the key that proves a person's answers, and shows its public line; needs no server."""

import json

from backstay.adapters.proof.key import PersonKey, key_file, new_key, own_key
from backstay.errors import ConfigurationError

from ..shell.connected import person
from ..shell.terminal import Output, say, write, write_json


def new(by: str | None, output: Output) -> None:
    """Runs `backstay keys new`."""
    name = person(by)
    _show(name, new_key(), output)
    say(f"kept in {key_file()}; give the lines above to whoever runs the workers", "dim")


def show(by: str | None, output: Output) -> None:
    """Runs `backstay keys show`."""
    key = own_key()
    if key is None:
        raise ConfigurationError("you have no key", where=str(key_file()), mend="make one with `backstay keys new`")
    _show(person(by), key, output)


def _show(name: str, key: PersonKey, output: Output) -> None:
    if output is Output.JSON:
        write_json({"person": name, "public": key.public})
    else:
        # A JSON string is a basic string of TOML.
        write(f"[people.{json.dumps(name, ensure_ascii=False)}]", f"keys = [{json.dumps(key.public)}]")
