"""Prices model calls in exact integer arithmetic."""

from dataclasses import dataclass

TOKENS_PER_PRICE = 1_000_000


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one model call, as billed.

    `input_tokens` includes `cached_tokens`, which were read from a cache, `written_tokens`, which were written to one,
    and `dear_input_tokens`, which are of a dearer kind such as audio. `output_tokens` includes reasoning and
    `dear_output_tokens`. `usd` is the provider's own bill in micro-dollars, 0 where it sent none.
    """

    input_tokens: int
    output_tokens: int
    cached_tokens: int = 0
    written_tokens: int = 0
    dear_input_tokens: int = 0
    dear_output_tokens: int = 0
    usd: int = 0


@dataclass(frozen=True, slots=True)
class Lost:
    """Attempts that may have been billed without an answer, and the bills of those whose provider stated one."""

    attempts: int = 0
    bills: tuple[Usage, ...] = ()


@dataclass(frozen=True, slots=True)
class Tier:
    """Prices in micro-dollars per million tokens, for calls with more than `above` input tokens.

    `dear_input` and `dear_output` are those of the dearest other kind, such as audio. What is None costs as much as
    plain input or output.
    """

    above: int
    input: int
    cached_input: int
    output: int
    cache_write: int | None = None
    dear_input: int | None = None
    dear_output: int | None = None

    def cost(self, usage: Usage) -> int:
        """Returns the micro-dollars of a million calls."""
        fresh = usage.input_tokens - usage.cached_tokens - usage.written_tokens - usage.dear_input_tokens
        return (
            fresh * self.input
            + usage.cached_tokens * self.cached_input
            + usage.written_tokens * _or(self.cache_write, self.input)
            + usage.dear_input_tokens * _or(self.dear_input, self.input)
            + (usage.output_tokens - usage.dear_output_tokens) * self.output
            + usage.dear_output_tokens * _or(self.dear_output, self.output)
        )


def _or(price: int | None, otherwise: int) -> int:
    return otherwise if price is None else price


@dataclass(frozen=True, slots=True)
class Price:
    """A model's price list: one tier, or several where long inputs cost more.

    `source` says where the figures come from, for the admission record. `call` is the micro-dollars that each call
    costs beside its tokens.
    """

    tiers: tuple[Tier, ...]
    source: str = "agent.toml"
    call: int = 0

    def cost(self, usage: Usage) -> int:
        """Returns the micro-dollars of one call, rounded up, so that a sum of calls is never below the bill."""
        tier = max(self._reached(usage.input_tokens), key=lambda tier: tier.above)
        return self.call - (-tier.cost(usage) // TOKENS_PER_PRICE)

    def worst_case(self, input_tokens: int, output_tokens: int) -> int:
        """Returns the most that a call of text can cost: nothing read from a cache, the dearest tier in reach."""
        dearest = self._dearest(input_tokens)
        return self.call - (-(input_tokens * dearest.input + output_tokens * dearest.output) // TOKENS_PER_PRICE)

    def affordable_output(self, usd: int, input_tokens: int) -> int | None:
        """Returns how many output tokens `usd` micro-dollars cover after the input; None where output is free."""
        dearest = self._dearest(input_tokens)
        left = (usd - self.call) * TOKENS_PER_PRICE - input_tokens * dearest.input
        if dearest.output == 0:
            return None if left >= 0 else -1
        return left // dearest.output

    def exceeds(self, other: "Price") -> bool:
        """Tells whether some call may cost more at these prices than at the other's."""
        sizes = [0, *(tier.above + 1 for price in (self, other) for tier in price.tiers)]
        pairs = [(self._dearest(size), other._dearest(size)) for size in sizes]
        dearer = any(mine.input > theirs.input or mine.output > theirs.output for mine, theirs in pairs)
        return dearer or self.call > other.call

    def _reached(self, input_tokens: int) -> list[Tier]:
        return [tier for tier in self.tiers if tier.above == 0 or input_tokens > tier.above]

    def _dearest(self, input_tokens: int) -> Tier:
        reached = self._reached(input_tokens)
        dearest_input = max(max(tier.input, tier.cached_input, tier.cache_write or 0) for tier in reached)
        return Tier(0, dearest_input, dearest_input, max(tier.output for tier in reached))
