"""The bytes of a request: the same as if all were written anew, and no dearer late in a run than early."""

import json
import random
from collections.abc import Iterator

import pytest

from backstay.adapters.model import openai_body
from backstay.adapters.model.dialect import Dialect
from backstay.adapters.model.openai_body import encoded
from backstay.adapters.model.openai_request import render
from backstay.contracts.admission import Api
from backstay.contracts.conversation import Decided, Item, ModelRequest, Observed, Said, Written
from backstay.contracts.decision import Decision, Part, ProposedCall

from .asking import a_request

DIALECTS = {
    "most": Dialect(),
    "openai": Dialect(notes="separate", ids="[A-Za-z0-9_-]{1,40}"),
    "names": Dialect(tool_name=True, whole_items=True, ids="[a-z]{9}"),
}


def asked(api: Api, items: list[Item], settled: int, written: Written) -> ModelRequest:
    """A request with a part of a conversation, of which some is settled."""
    base = a_request(api, *items)
    return ModelRequest(
        base.model,
        base.instructions,
        base.tools,
        tuple(items),
        base.max_output_tokens,
        base.idempotency_key,
        settled=settled,
        written=written,
    )


def whole(request: ModelRequest, dialect: Dialect) -> dict[str, object]:
    """The body as it is when nothing is kept."""
    return {"model": request.model.name, **render(request, dialect)}


def steps(chance: random.Random, count: int) -> Iterator[tuple[list[Item], int]]:
    """A conversation as each of its decisions is asked with it: what it has, and how much of that is settled."""
    items: list[Item] = [Said("pay it, größer \ud800")]
    settled = 0
    for step in range(1, count + 1):
        yield [*items, *(Said(f"note {step}") for _ in range(chance.randrange(2)))], settled
        ids = [None, "same", f"call_{step}", "x" * 41]
        calls = [
            ProposedCall(call_id=f"{step}-{at}", tool="lookup", arguments="{}", wire_id=chance.choice(ids))
            for at in range(chance.randrange(3))
        ]
        text = chance.choice([None, "", f"words of {step}"])
        parts = [Part(kind="call", extra={"extra_content": at}) for at in range(len(calls))] if text else []
        settled = len(items)
        items += [Decided(Decision(text=text, calls=calls, parts=parts))]
        items += [Observed(call.call_id, f"result of {call.call_id}") for call in calls]


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("seed", range(5))
def test_what_was_written_before_and_what_is_new_make_the_whole_body(api: Api, dialect: str, seed: int) -> None:
    written = Written()
    for items, settled in steps(random.Random(seed), 40):
        request = asked(api, items, settled, written)
        assert json.loads(encoded(request, DIALECTS[dialect])) == whole(request, DIALECTS[dialect])
    assert written.weight > 1_000


def test_whoever_keeps_nothing_writes_the_same_bytes(api: Api) -> None:
    written = Written()
    for items, settled in steps(random.Random(1), 20):
        anew = encoded(asked(api, items, 0, Written()), Dialect())
        assert encoded(asked(api, items, settled, written), Dialect()) == anew


def test_what_is_written_for_a_decision_does_not_grow_with_the_run(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    dumps = json.dumps

    def counted(value: object, **how: bool) -> str:
        text: str = dumps(value, **how)  # pyright: ignore[reportArgumentType]
        sizes[-1] += len(text)
        return text

    monkeypatch.setattr(openai_body.json, "dumps", counted)
    written, bodies = Written(), list[int]()
    for items, settled in steps(random.Random(2), 300):
        sizes.append(0)
        bodies.append(len(encoded(asked(api, items, settled, written), Dialect())))
    assert sum(sizes[200:]) <= 1.5 * sum(sizes[:100])
    assert sum(bodies[200:]) > 4 * sum(bodies[:100])  # the bodies themselves do grow


def test_another_form_of_the_same_conversation_is_written_anew(api: Api) -> None:
    written = Written()
    for items, settled in steps(random.Random(3), 10):
        for dialect in DIALECTS.values():
            request = asked(api, items, settled, written)
            assert json.loads(encoded(request, dialect)) == whole(request, dialect)


def test_an_attempt_that_was_overtaken_asks_what_it_was_asked(api: Api) -> None:
    written, all_steps = Written(), list(steps(random.Random(4), 30))
    for items, settled in (all_steps[10], all_steps[29], all_steps[11]):
        request = asked(api, items, settled, written)
        assert json.loads(encoded(request, Dialect())) == whole(request, Dialect())


def test_what_cannot_be_written_is_an_error_and_leaves_nothing_half_kept(api: Api) -> None:
    written = Written()
    odd = Decided(
        Decision(text="x", calls=[], extra={"a": float("nan")}, parts=[Part(kind="text", extra={"a": float("nan")})])
    )
    items: list[Item] = [Said("go"), odd, Said("on")]
    with pytest.raises(ValueError, match="Out of range"):
        encoded(asked(api, [*items, Decided(Decision(text="y"))], 3, written), Dialect())
    fine = asked(api, [Said("go"), Decided(Decision(text="x"))], 1, written)
    assert json.loads(encoded(fine, Dialect())) == whole(fine, Dialect())
