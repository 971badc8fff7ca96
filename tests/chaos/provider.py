"""A model provider that keeps its own books, and fails in every way a provider can while it bills the truth."""

import json
import random
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from backstay.kernel.price import Usage as BilledUsage
from backstay.testing import JSON, MISSING, Call, Drip, Drop, Failure, Raw, RawUsage, Reply, Request, Usage
from backstay.testing.model.script import Answer


@dataclass(frozen=True, slots=True)
class Rates:
    """The price of a model in USD per million tokens, which is micro-dollars per token."""

    input: int
    cached_input: int
    output: int

    def cost(self, bill: BilledUsage) -> int:
        """Micro-dollars."""
        uncached = bill.input_tokens - bill.cached_tokens
        return uncached * self.input + bill.cached_tokens * self.cached_input + bill.output_tokens * self.output


RATES = Rates(10, 1, 40)
PRICE = f"input={RATES.input},cached_input={RATES.cached_input},output={RATES.output}"

PROMPTLY = 0.1
_UNCOUNTED = ("id", "call_id", "tool_call_id", "type", "role")
_NONSENSE: tuple[Any, ...] = (-5, float("nan"), float("inf"), "1000", 1.5, True, None, 10**400, [7])
_ODD_ARGUMENTS = ("", "{", "[1]", '{"n": "one"}', "\x01" * 150, '"' * 150, '{"n": 1, "sleep": 0, "more": "é"}')
_ODD_WORDS = (None, "", '{"name": "look", "arguments": {"n": 1}}')
_GARBAGE = ("<html>busy</html>", "", '{"error": {"code": "server_error", "message": "gave up"}}', '{"output": 7}', "[")


@dataclass(slots=True)
class Account:
    """Keeps what the provider did for one run.

    `asked` holds the decision and the input tokens of every request it began to serve, `bills` what costs money, and
    `usd` how much in micro-dollars.
    """

    asked: list[tuple[str, int]] = field(default_factory=list[tuple[str, int]])
    fates: Counter[str] = field(default_factory=Counter[str])
    bills: list[BilledUsage] = field(default_factory=list[BilledUsage])
    usd: int = 0

    def bill(self, served: BilledUsage, rates: Rates = RATES) -> None:
        """Writes a request into the books."""
        self.bills.append(served)
        self.usd += rates.cost(served)

    @property
    def input_tokens(self) -> int:
        return sum(bill.input_tokens for bill in self.bills)

    @property
    def output_tokens(self) -> int:
        return sum(bill.output_tokens for bill in self.bills)


class Tokenizer:
    """Counts a request as a provider does: the same text always comes to the same number of tokens."""

    def __init__(self, dice: random.Random) -> None:
        self._bytes_per_token = dice.randint(1, 4)
        self._per_item = dice.randint(0, 12)

    def request(self, body: Mapping[str, JSON]) -> int:
        """The input tokens of a request: its instructions, its conversation and its tools."""
        conversation = body.get("input") or body.get("messages")
        tools = sum(
            self._per_item + self.text(json.dumps(tool, ensure_ascii=False)) for tool in _schemas(body.get("tools"))
        )
        return max(1, self.text(str(body.get("instructions") or "")) + self._items(conversation) + tools)

    def reply(self, text: str | None, calls: list[Call]) -> int:
        """The output tokens of a reply, without reasoning: never less than it comes to when it is repeated."""
        return max(
            1, self.text(text or "") + sum(self._call(call) for call in calls) + self._per_item * (1 + len(calls))
        )

    def text(self, text: str) -> int:
        return -(-len(text.encode()) // self._bytes_per_token)

    def words(self, tokens: int) -> str:
        """A text that comes to at most so many tokens as a reply."""
        return "w" * (max(0, tokens - self._per_item) * self._bytes_per_token)

    def _call(self, call: Call) -> int:
        arguments = call.args if isinstance(call.args, str) else json.dumps(call.args)
        return self.text(call.tool) + self.text(arguments)

    def _items(self, value: JSON) -> int:
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            entries = cast("Mapping[str, JSON]", value).items()
            own = 0 if "name" in value and "arguments" in value and "type" not in value else self._per_item
            return own + sum(self._items(entry) for key, entry in entries if key not in _UNCOUNTED)
        return sum(self._items(entry) for entry in value) if isinstance(value, list) else 0


def _schemas(tools: JSON) -> list[JSON]:
    """The name, the description and the parameters of each tool, in either API."""
    if not isinstance(tools, list):
        return []
    functions = [cast("dict[str, Any]", tool).get("function", tool) for tool in tools]
    return [[function["name"], function["description"], function["parameters"]] for function in functions]


class Provider:
    """Decides at random how each request fares. `turn` is the turn of a `ScriptedModel`.

    A request is billed when the provider begins to serve it, whatever becomes of its reply.
    """

    def __init__(self, seed: str, moves: Callable[[random.Random], Call]) -> None:
        self._seed = seed
        self._moves = moves
        self._dice: dict[str, random.Random] = {}
        self._tokenizers: dict[str, Tokenizer] = {}
        self.accounts: dict[str, Account] = {}

    def turn(self, request: Request) -> Answer:
        """Serves one request of the run that its goal names."""
        run = request.goal.partition(">")[0] + ">"  # a note of the runtime may end the goal
        dice = self._dice.setdefault(run, random.Random(f"{self._seed} {run}"))
        tokenizer = self._tokenizers.setdefault(run, Tokenizer(dice))
        account = self.accounts.setdefault(run, Account())
        decision = request.headers.get("Idempotency-Key", "").rpartition("/")[2]
        account.asked.append((decision, tokenizer.request(request.body)))
        fates, weights = zip(*_FATES.items(), strict=True)
        fate = dice.choices(fates, weights)[0]
        account.fates[fate.__name__.strip("_")] += 1
        return fate(_Serving(request, dice, tokenizer, account, self._moves))


@dataclass(frozen=True, slots=True)
class _Serving:
    """One request under way."""

    request: Request
    dice: random.Random
    tokenizer: Tokenizer
    account: Account
    moves: Callable[[random.Random], Call]

    @property
    def limit(self) -> int:
        """The output tokens that the request allows."""
        body = self.request.body
        return int(str(body.get("max_output_tokens") or body["max_tokens"]))

    def latency(self) -> float:
        """Mostly short; now and then long enough for the worker to die meanwhile."""
        return self.dice.uniform(1, 4) if self.dice.random() < 0.06 else self.dice.expovariate(8)

    def bill(self, output: int = 0, cached: int = 0) -> Usage:
        """Writes the request into the books: at least `output` tokens, often all that it allows."""
        read = self.tokenizer.request(self.request.body)
        written = self.dice.choice([output, self.dice.randint(output, self.limit), self.limit])
        self.account.bill(BilledUsage(read, written, min(cached, read)))
        return Usage(read, written, min(cached, read), written - output)

    def thought(self) -> tuple[Reply, int]:
        """The model's reply, and its own tokens; one that is longer than the request allows is cut."""
        text, calls = self._said()
        size = self.tokenizer.reply(text, calls)
        if size <= self.limit:
            return Reply(text, calls, delay=self.latency()), size
        cut = Reply(self.tokenizer.words(self.limit) or None, delay=self.latency(), finish="length")
        return cut, self.limit

    def _said(self) -> tuple[str | None, list[Call]]:
        kind = self.dice.random()
        if kind < 0.05:
            return "all is done", []
        if kind < 0.1:
            return self.dice.choice(_ODD_WORDS), []
        calls = [self.moves(self.dice) for _ in range(self.dice.randint(1, 6))]
        if self.dice.random() < 0.15:
            calls[0] = Call(calls[0].tool, self.dice.choice(_ODD_ARGUMENTS))
        if self.dice.random() < 0.05:
            calls.append(Call("no_such_tool", {}))
        return self.dice.choice([None, "let me see"]), calls


def _replied(serving: _Serving) -> Answer:
    reply, size = serving.thought()
    cached = serving.dice.choice([0, 0, serving.dice.randint(0, 2_000)])
    return Reply(reply.text, reply.calls, serving.bill(size, cached), reply.delay, reply.finish)


def _slowly(serving: _Serving) -> Answer:
    reply, size = serving.thought()
    return Drip(serving.dice.uniform(0.2, 2), Reply(reply.text, reply.calls, serving.bill(size), 0, reply.finish))


def _lied(serving: _Serving) -> Answer:
    """A reply with a bill that says nothing."""
    reply, size = serving.thought()
    true = serving.bill(size)
    read, written = ("input", "output") if "responses" in serving.request.path else ("prompt", "completion")
    told: dict[str, Any] = {f"{read}_tokens": true.input_tokens, f"{written}_tokens": true.output_tokens}
    lies: list[Any] = [
        MISSING,
        None,
        "free",
        {},
        {**told, serving.dice.choice(list(told)): serving.dice.choice(_NONSENSE)},
        {**told, f"{read}_tokens_details": {"cached_tokens": true.input_tokens + 1}},
        {**told, f"{read}_tokens_details": "none"},
        dict.fromkeys((*told, "total_tokens"), 0),
        {**told, f"{read}_tokens": 0},
        {**told, "total_tokens": true.input_tokens},
    ]
    return Reply(reply.text, reply.calls, RawUsage(serving.dice.choice(lies)), reply.delay, reply.finish)


def _worded_otherwise(serving: _Serving) -> Answer:
    """A reply with a true bill, as servers write it that leave reasoning out of the output."""
    reply, size = serving.thought()
    true = serving.bill(size)
    shown = serving.dice.randint(0, true.output_tokens)
    hidden = true.output_tokens - shown
    read, written = ("input", "output") if "responses" in serving.request.path else ("prompt", "completion")
    told: dict[str, Any] = {f"{read}_tokens": true.input_tokens, f"{written}_tokens": shown}
    total = {"total_tokens": true.input_tokens + true.output_tokens}
    beside = {f"{written}_tokens_details": {"reasoning_tokens": hidden}}
    words = [{**told, **total}, {**told, **total, **beside}, {**told, **total, "reasoning_tokens": hidden}]
    if hidden > shown:
        words += [{**told, **beside}, {**told, "reasoning_tokens": hidden}]
    return Reply(reply.text, reply.calls, RawUsage(serving.dice.choice(words)), reply.delay, reply.finish)


def _refused(serving: _Serving) -> Answer:
    return Failure(429, retry_after=serving.dice.choice([0, PROMPTLY, 1]), delay=serving.latency())


def _conflicted(serving: _Serving) -> Answer:
    return Failure(409, retry_after=PROMPTLY)


def _rejected(serving: _Serving) -> Answer:
    return serving.dice.choice([Failure(400), Failure(401), Failure(429, code="insufficient_quota")])


def _overloaded(serving: _Serving) -> Answer:
    if serving.dice.random() < 0.6:
        serving.bill()
    status = serving.dice.choice([500, 502, 503, 504, 408])
    return Failure(status, retry_after=serving.dice.choice([0, PROMPTLY, None]), delay=serving.latency())


def _cut(serving: _Serving) -> Answer:
    serving.bill()
    return Drop(serving.latency(), serving.dice.choice([0, 0, 1, 60, 10_000]))


def _garbled(serving: _Serving) -> Answer:
    serving.bill()
    return Raw(200, serving.dice.choice(_GARBAGE), delay=serving.latency())


_FATES: dict[Callable[[_Serving], Answer], int] = {
    _replied: 130,
    _slowly: 6,
    _lied: 18,
    _worded_otherwise: 30,
    _refused: 12,
    _conflicted: 4,
    _rejected: 1,
    _overloaded: 12,
    _cut: 14,
    _garbled: 4,
}
