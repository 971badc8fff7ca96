"""Prices model calls in exact integer arithmetic."""

from dataclasses import dataclass

TOKENS_PER_PRICE = 1_000_000


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one model call, as billed.

    `input_tokens` includes `cached_tokens`; `output_tokens` includes reasoning.
    """

    input_tokens: int
    output_tokens: int
    cached_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Tier:
    """Prices in micro-dollars per million tokens, for calls with more than `above` input tokens."""

    above: int
    input: int
    cached_input: int
    output: int


@dataclass(frozen=True, slots=True)
class Price:
    """A model's price list: one tier, or several where long inputs cost more.

    `source` says where the figures come from, for the admission record.
    """

    tiers: tuple[Tier, ...]
    source: str = "agent.toml"

    def cost(self, usage: Usage) -> int:
        """Returns the micro-dollars of one call, rounded up, so that a sum of calls is never below the bill."""
        tier = max(self._reached(usage.input_tokens), key=lambda tier: tier.above)
        fresh = usage.input_tokens - usage.cached_tokens
        total = fresh * tier.input + usage.cached_tokens * tier.cached_input + usage.output_tokens * tier.output
        return -(-total // TOKENS_PER_PRICE)

    def worst_case(self, input_tokens: int, output_tokens: int) -> int:
        """Returns the most that a call with these tokens can cost: nothing cached, the dearest tier in reach."""
        dearest = self._dearest(input_tokens)
        return -(-(input_tokens * dearest.input + output_tokens * dearest.output) // TOKENS_PER_PRICE)

    def affordable_output(self, usd: int, input_tokens: int) -> int | None:
        """Returns how many output tokens `usd` micro-dollars cover after the input; None where output is free."""
        dearest = self._dearest(input_tokens)
        left = usd * TOKENS_PER_PRICE - input_tokens * dearest.input
        if dearest.output == 0:
            return None if left >= 0 else -1
        return left // dearest.output

    def _reached(self, input_tokens: int) -> list[Tier]:
        return [tier for tier in self.tiers if tier.above == 0 or input_tokens > tier.above]

    def _dearest(self, input_tokens: int) -> Tier:
        reached = self._reached(input_tokens)
        dearest_input = max(max(tier.input, tier.cached_input) for tier in reached)
        return Tier(0, dearest_input, dearest_input, max(tier.output for tier in reached))
