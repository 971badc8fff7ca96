"""A model that is not to be relied on."""

import random
from collections.abc import Callable
from typing import Any

from backstay.testing import Call, Reply


def erratic(seed: int) -> Callable[[Any], Any]:
    """A model that does anything at all, the same for one seed."""

    def turn(request: Any) -> Any:
        chance = random.Random(f"{seed}/{request.index}")
        place = {"place": chance.choice("abc")}
        spam = [Call("send", {"to": "x"}) for _ in range(chance.randint(2, 5))]
        return chance.choice(
            [
                Reply(calls=[Call("look", place), Call("wipe", place)]),
                Reply(calls=spam),
                Reply(calls=[Call("look", '{"place": ')]),
                Reply(calls=[Call("nothing", {}), Call("look", place)]),
                Reply(text='{"name": "send", "arguments": {"to": "x"}}'),
                Reply(text=""),
                Reply(text="half an answ", finish="length"),
                Reply(text="an answer"),
            ]
        )

    return turn
