"""Finds a model's prices: the owner's own, or those bundled with genai-prices; asks no server."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import ROUND_CEILING, Decimal

import genai_prices
from genai_prices.data_snapshot import DataSnapshot, get_snapshot
from genai_prices.types import ModelInfo, ModelPrice, Provider, TieredPrices

from backstay.errors import ConfigurationError
from backstay.kernel.money import MICRO, MoneyError, parse_usd
from backstay.kernel.price import Price, Tier

from .model_names import bare, plain

OWN = "agent.toml"
FALLBACK = "BACKSTAY_MODEL_PRICE"
_DEFAULT_PROVIDER = "openai"
_REQUIRED = ("input", "output")
_KEYS = (*_REQUIRED, "cached_input", "cache_write")
_DEAR_INPUT = ("cache_write_1h_mtok", "input_audio_mtok", "input_image_mtok", "input_video_mtok")
_DEAR_OUTPUT = ("output_audio_mtok", "output_image_mtok", "output_video_mtok")
_HALF_HOURS = 48

Rate = Decimal | TieredPrices


def price_of(
    model: str,
    base_url: str | None,
    own: Mapping[str, str] | None,
    otherwise: Mapping[str, str] | None = None,
    at: datetime | None = None,
) -> Price | None:
    """Returns a model's prices, or None where they are unknown; an unknown model is never free.

    Args:
        model: the model's name, also as gateways spell it.
        base_url: the server's address, which tells the provider. For an unknown address, OpenAI's list is searched
            first, then every provider for that name, or where none has it for that model by another date; the dearest
            match counts.
        own: the owner's prices, which win: `input`, `output` and perhaps `cached_input` and `cache_write`, as decimal
            strings of US dollars per million tokens.
        otherwise: the prices of a model that neither `own` nor the list knows, in the same form.
        at: the time when the prices apply, now unless given; where they change within 24 hours, the dearer ones count.

    Returns:
        The prices; None also for a model billed by more than its tokens.

    Raises:
        ConfigurationError: `own` or `otherwise` cannot be read.
    """
    if own:
        return Price((_own_tier(own),), OWN)
    listed = _models(get_snapshot(), model, base_url, anywhere=False)
    if not listed:
        return Price((_own_tier(otherwise),), FALLBACK) if otherwise else None
    return None if any(_fee(found, at) for found in listed) else _dearest_of(listed, at)


def price_of_reply(model: str, base_url: str | None, at: datetime | None = None) -> Price | None:
    """Returns the prices of the model that a reply names, or None where they are unknown.

    A gateway may name a model of any provider, whatever its own address, so all of them are searched. Of a model that
    is billed by the call too, that is counted.
    """
    return _dearest_of(_models(get_snapshot(), model, base_url, anywhere=True), at)


def window_of(model: str, base_url: str | None) -> int | None:
    """Returns how many tokens a model takes, its reply included; the least of all that its name may mean.

    None where the list does not know the model, or not how much it takes.
    """
    listed = _models(get_snapshot(), model, base_url, anywhere=False)
    return min((found.context_window for found in listed if found.context_window), default=None)


def _dearest_of(listed: list[ModelInfo], at: datetime | None) -> Price | None:
    moment = at or datetime.now(UTC)
    priced = [tiers for tiers in (_tiers(found, moment) for found in listed) if tiers]
    if not priced:
        return None
    fee = max(_fee(found, moment) for found in listed)
    return Price(max(priced, key=_dearness), f"genai-prices {genai_prices.__version__}", fee)


def _fee(model: ModelInfo, at: datetime | None) -> int:
    """Returns the micro-dollars that each call of a model costs beside its tokens."""
    of_a_thousand = _micros(model.get_prices(at or datetime.now(UTC)).requests_kcount, 0) or 0
    return -(-of_a_thousand // 1_000)


def _own_tier(own: Mapping[str, str]) -> Tier:
    mend = (
        f"give {' and '.join(f'`{key}`' for key in _REQUIRED)}, and `cached_input` and `cache_write` where they differ"
    )
    if unknown := sorted(set(own) - set(_KEYS)):
        raise ConfigurationError(f"unknown price `{unknown[0]}`", where="price", mend=mend)
    for key in _REQUIRED:
        if key not in own:
            raise ConfigurationError(f"`{key}` is missing", where="price", mend=mend)
    figures = {key: _own_figure(key, text) for key, text in own.items()}
    cached = figures.get("cached_input", figures["input"])
    return Tier(0, figures["input"], cached, figures["output"], figures.get("cache_write"))


def _own_figure(key: str, text: str) -> int:
    try:
        return parse_usd(text)
    except MoneyError as error:
        raise ConfigurationError(f"`{key}`: {error}", where="price", mend="per million tokens") from None


def _models(prices: DataSnapshot, name: str, base_url: str | None, anywhere: bool) -> list[ModelInfo]:
    """Returns the models that a name may mean: none, one, or one from each provider that sells it."""
    provider = _provider_at(prices, base_url)
    first = provider or prices.find_provider(None, _DEFAULT_PROVIDER, None)
    # A list may have a model twice, without the fee in one of its spellings: both are looked at.
    for spelled in ((name, bare(name)), (plain(name),)):
        if found := [model for one in dict.fromkeys(spelled) for model in _found(prices, first, one)]:
            return found
    if provider is not None and not anywhere:
        return []
    every = [model for provider in prices.providers for model in provider.models]
    exact = [model for model in every if model.id.lower() in (name.lower(), bare(name))]
    return exact or [model for model in every if plain(model.id) == plain(name)]


def _provider_at(prices: DataSnapshot, base_url: str | None) -> Provider | None:
    try:
        return prices.find_provider(None, None, base_url) if base_url else None
    except LookupError:
        return None


def _found(prices: DataSnapshot, provider: Provider, name: str) -> list[ModelInfo]:
    model = provider.find_model(name, all_providers=prices.providers)
    return [model] if model is not None else []


def _tiers(model: ModelInfo, moment: datetime) -> tuple[Tier, ...] | None:
    """Returns a model's price tiers, or None where its tokens have no price."""
    # A run admitted in a cheap hour may continue in a dear one, so all prices of the next 24 hours count.
    half_hours = (moment + timedelta(minutes=30 * passed) for passed in range(_HALF_HOURS))
    lists: list[ModelPrice] = []
    for half_hour in half_hours:
        if (listed := model.get_prices(half_hour)) not in lists:
            lists.append(listed)
    if any(listed.input_mtok is None or listed.output_mtok is None for listed in lists):
        return None
    starts = {0} | {start for listed in lists for rate in _rates(listed) for start in _starts(rate)}
    return tuple(_tier(model, lists, start) for start in sorted(starts))


def _tier(model: ModelInfo, lists: Iterable[ModelPrice], start: int) -> Tier:
    tiers = [_tier_of(model, listed, start) for listed in lists]
    return Tier(
        start,
        max(tier.input for tier in tiers),
        max(tier.cached_input for tier in tiers),
        max(tier.output for tier in tiers),
        _dearest(tier.cache_write for tier in tiers),
        _dearest(tier.dear_input for tier in tiers),
        _dearest(tier.dear_output for tier in tiers),
    )


def _tier_of(model: ModelInfo, listed: ModelPrice, start: int) -> Tier:
    read = _micros(listed.input_mtok, start) or 0
    # From gpt-5.6 on OpenAI writes its cache unasked, at a higher price than reading, and its bill does not say how
    # much was written. Anthropic writes only on demand, and its bill does say it.
    written = _micros(listed.cache_write_mtok, start)
    unasked = 0 if "claude" in model.id.lower() else written or 0
    cached = _micros(listed.cache_read_mtok, start)
    output = _micros(listed.output_mtok, start) or 0
    reasoning = _micros(listed.output_reasoning_mtok, start) or 0
    return Tier(
        start,
        max(read, unasked),
        read if cached is None else cached,
        max(output, reasoning),
        written,
        _dearest(_micros(getattr(listed, key), start) for key in _DEAR_INPUT),
        _dearest(_micros(getattr(listed, key), start) for key in _DEAR_OUTPUT),
    )


def _dearest(rates: Iterable[int | None]) -> int | None:
    return max((rate for rate in rates if rate is not None), default=None)


def _micros(rate: Rate | None, start: int) -> int | None:
    """Returns micro-dollars per million tokens, rounded up, for calls with more than `start` input tokens."""
    if rate is None:
        return None
    if isinstance(rate, TieredPrices):
        reached = [tier.price for tier in rate.tiers if tier.start <= start]
        rate = reached[-1] if reached else rate.base
    return int((rate * MICRO).to_integral_value(ROUND_CEILING))


def _rates(listed: ModelPrice) -> list[Rate | None]:
    return [
        listed.input_mtok,
        listed.cache_write_mtok,
        listed.cache_read_mtok,
        listed.output_mtok,
        listed.output_reasoning_mtok,
        *(getattr(listed, key) for key in (*_DEAR_INPUT, *_DEAR_OUTPUT)),
    ]


def _starts(rate: Rate | None) -> list[int]:
    return [tier.start for tier in rate.tiers] if isinstance(rate, TieredPrices) else []


def _dearness(tiers: tuple[Tier, ...]) -> tuple[int, int]:
    return tiers[0].input + tiers[0].output, max(tier.input + tier.output for tier in tiers)
