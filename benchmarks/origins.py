"""Measures what it costs to tell where the values of calls come from; run `python benchmarks/origins.py`.

One run has read 10, 100 or 500 results of 2 kB. Counted is processor time, the best of some rounds.
"""

import json
import random
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from time import process_time

sys.path.insert(0, str(Path(__file__).parent.parent))

from activities.past import Asked, Before, RunPast
from backstay.contracts.admission import ToolSpec
from backstay.contracts.conversation import Decided, Item, Observed
from backstay.contracts.decision import Decision, ProposedCall
from backstay.kernel.marks import Marks, Roles
from backstay.kernel.registers import register_of
from backstay.kernel.sourcing import Sourcing

ROUNDS = 7
RESULTS = (10, 100, 500)
CHARACTERS = 2_000
WORDS = 120
GOAL = "Pay 120.50 EUR to ann@home.example for order 4711, and tell bob@shop.example."
KNOWN = Sourcing((register_of("colleagues", ["@acme.com"], org=True),))
MAIL = Marks({"untrusted": ()}, clean=("id", "sender"))
READ = ToolSpec(name="read_mail", description="", parameters={}, digest="", effect="read", timeout=30, marks=MAIL)
PAY = READ.model_copy(update={"name": "pay", "effect": "once", "marks": None, "roles": Roles(targets=("to",))})
SEND = PAY.model_copy(update={"name": "send", "roles": Roles(targets=("to",), texts=("subject", "body"))})
_DRAW = random.Random(1)
VOCABULARY = ["".join(_DRAW.choices("abdefgiklmnoprstu", k=_DRAW.randint(2, 8))) for _ in range(3_000)]


def _text(characters: int, draw: random.Random) -> str:
    words: list[str] = []
    while sum(map(len, words)) + len(words) < characters:
        words.append(draw.choice(VOCABULARY))
    return " ".join(words)


def _conversation(results: int, draw: random.Random) -> list[Item]:
    items: list[Item] = []
    for at in range(results):
        call = ProposedCall(call_id=f"{at}-0", tool="read_mail", arguments=json.dumps({"id": at}))
        mail = {"id": at, "sender": f"p{at}@x{at}.example", "body": _text(CHARACTERS, draw)}
        items += [Decided(Decision(calls=[call])), Observed(call.call_id, json.dumps(mail))]
    return items


def _best(work: Callable[[], object], repeat: int) -> float:
    """Returns microseconds."""
    taken: list[float] = []
    for _ in range(ROUNDS):
        began = process_time()
        for _ in range(repeat):
            work()
        taken.append((process_time() - began) / repeat)
    return min(taken) * 1e6


def figures(results: int) -> dict[str, float]:
    """Measures one run: microseconds of a result, of a decision, and of two calls."""
    draw = random.Random(results)
    items = _conversation(results, draw)
    past = RunPast(GOAL, [READ, PAY, SEND])
    began = process_time()
    past.read(Before(items, past).results)
    read = (process_time() - began) / results * 1e6
    body = " ".join(draw.choices(VOCABULARY, k=WORDS))

    def call(tool: ToolSpec, repeat: int, arguments: Mapping[str, object]) -> float:
        made = ProposedCall(call_id="z-0", tool=tool.name, arguments=json.dumps(arguments))
        before = Before([*items, Decided(Decision(calls=[made]))], past)
        asked = Asked(made, tool, arguments, arguments)
        return _best(lambda: before.origins(asked, KNOWN), repeat)

    return {
        "a result of 2 kB, once": read,
        "a decision, beside its calls": _best(lambda: Before(items, past).results, 50),
        "a call with two values": call(PAY, 1_000, {"to": "ann@home.example", "amount": 120.5}),
        f"a call with a text of {WORDS} words": call(
            SEND, 100, {"to": "ann@home.example", "subject": "Your order", "body": body}
        ),
    }


def main() -> None:
    """Prints a table."""
    each = [figures(results) for results in RESULTS]
    print(f"{'µs of processor time, results read:':<36}" + "".join(f"{results:>8}" for results in RESULTS))
    for name in each[0]:
        print(f"{name:<36}" + "".join(f"{one[name]:>8.0f}" for one in each))


if __name__ == "__main__":
    main()
