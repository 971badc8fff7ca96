"""What a model costs, from the owner's figures and from the bundled lists."""

import socket
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal

import genai_prices
import pytest
from genai_prices import calc_price
from genai_prices import types as lists
from genai_prices.data_snapshot import DataSnapshot, set_custom_snapshot

from backstay.adapters.model.prices import price_of, price_of_reply
from backstay.errors import ConfigurationError
from backstay.kernel.price import Price, Tier, Usage

OPENAI = "https://api.openai.com/v1"
LOCAL = "http://127.0.0.1:8080/v1"
NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


def tiers(price: Price | None) -> tuple[Tier, ...]:
    assert price is not None
    return price.tiers


def a_model(name: str, *conditions: lists.ConditionalPrice, **rates: lists.TieredPrices | Decimal) -> lists.ModelInfo:
    prices = list(conditions) or lists.ModelPrice(**rates)
    return lists.ModelInfo(id=name, match=lists.ClauseStartsWith(name), prices=prices)


@pytest.fixture
def sold() -> Iterator[Callable[..., None]]:
    """Replaces the bundled lists; takes the models of each provider."""

    def replace(**models: list[lists.ModelInfo]) -> None:
        providers = [
            lists.Provider(id=name, name=name, api_pattern=rf"https://api\.{name}\.example", models=found)
            for name, found in {"openai": [], **models}.items()
        ]
        set_custom_snapshot(DataSnapshot(providers=providers, from_auto_update=False))

    yield replace
    set_custom_snapshot(None)


@pytest.mark.parametrize("model", ["gpt-4o", "nobody-knows-this"])
def test_the_owners_figures_win(model: str) -> None:
    price = price_of(model, OPENAI, {"input": "0.25", "cached_input": "0.025", "output": "2"})
    assert price == Price((Tier(0, 250_000, 25_000, 2_000_000),), "agent.toml")


def test_cached_input_costs_as_much_as_input_unless_told() -> None:
    assert tiers(price_of("m", None, {"input": "3", "output": "15"})) == (Tier(0, 3_000_000, 3_000_000, 15_000_000),)


def test_a_model_is_free_where_its_owner_says_so() -> None:
    assert tiers(price_of("m", LOCAL, {"input": "0", "output": "0"})) == (Tier(0, 0, 0, 0),)


@pytest.mark.parametrize(
    ("own", "problem"),
    [
        ({"input": "1"}, "`output` is missing"),
        ({"output": "1"}, "`input` is missing"),
        ({"input": "1", "output": "1", "tax": "1"}, "unknown price `tax`"),
        ({"input": "-1", "output": "1"}, "`input`: expected US dollars"),
        ({"input": "1", "output": "NaN"}, "`output`: expected US dollars"),
        ({"input": "1", "output": "1", "cached_input": "free"}, "`cached_input`: expected US dollars"),
        ({"input": "0.0000001", "output": "1"}, "at most six decimals"),
    ],
)
def test_figures_that_cannot_be_read_are_a_mistake_of_the_owner(own: Mapping[str, str], problem: str) -> None:
    with pytest.raises(ConfigurationError, match=problem):
        price_of("m", None, own)


@pytest.mark.parametrize("own", [None, {}])
def test_without_figures_of_the_owner_the_lists_are_asked(own: Mapping[str, str] | None) -> None:
    price = price_of("gpt-4o", OPENAI, own, at=NOW)
    assert price is not None
    assert price.source == f"genai-prices {genai_prices.__version__}"


@pytest.mark.parametrize("base_url", [None, OPENAI, LOCAL, "https://eu.api.openai.com/v1"])
def test_a_model_of_openai_is_known_wherever_it_is_served(base_url: str | None) -> None:
    assert tiers(price_of("gpt-4o", base_url, None, at=NOW)) == (Tier(0, 2_500_000, 1_250_000, 10_000_000),)


@pytest.mark.parametrize("name", ["gpt-4o-mini-2024-07-18", "gpt-4o-mini-20240718", "GPT-4o-mini"])
def test_dated_names_match_as_the_lists_match_them(name: str) -> None:
    assert price_of(name, OPENAI, None, at=NOW) == price_of("gpt-4o-mini", OPENAI, None, at=NOW)


@pytest.mark.parametrize("name", ["", "gpt-nobody", "ft:gpt-4o:acme::x", "scripted", "SmolLM2-135M-Instruct"])
@pytest.mark.parametrize("base_url", [None, OPENAI, LOCAL, "https://api.groq.com/openai/v1"])
def test_an_unknown_model_has_no_price(name: str, base_url: str | None) -> None:
    assert price_of(name, base_url, None, at=NOW) is None


def test_an_address_that_is_known_decides_alone() -> None:
    assert price_of("gpt-4o", "https://api.groq.com/openai/v1", None, at=NOW) is None
    assert price_of("claude-sonnet-4-5-20250929", "https://api.anthropic.com/v1/", None, at=NOW) is not None


@pytest.mark.parametrize(
    "usage", [Usage(1_000, 100), Usage(1_000, 100, 800), Usage(272_000, 7, 3), Usage(272_001, 7, 3)]
)
@pytest.mark.parametrize("name", ["gpt-4o", "gpt-5", "o3", "gpt-6-sol", "gpt-5.6-luna"])
def test_a_cost_is_never_below_what_the_lists_make_of_it(name: str, usage: Usage) -> None:
    price = price_of(name, OPENAI, None, at=NOW)
    assert price is not None
    written = usage.input_tokens - usage.cached_tokens if name.startswith(("gpt-5.6", "gpt-6")) else 0
    reported = genai_prices.Usage(
        input_tokens=usage.input_tokens,
        cache_read_tokens=usage.cached_tokens,
        cache_write_tokens=written,
        output_tokens=usage.output_tokens,
    )
    listed = calc_price(reported, name, provider_id="openai", genai_request_timestamp=NOW).total_price * 1_000_000
    assert listed <= price.cost(usage) < listed + 1


def test_no_connection_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("a price list was looked up")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    assert price_of("gpt-4o", OPENAI, None) is not None
    assert price_of("nobody-knows-this", LOCAL, None) is None


def test_tiers_keep_their_starts(sold: Callable[..., None]) -> None:
    def rate(base: str, *more: tuple[int, str]) -> lists.TieredPrices:
        return lists.TieredPrices(Decimal(base), [lists.Tier(start, Decimal(price)) for start, price in more])

    model = a_model(
        "m",
        input_mtok=rate("1", (128, "2"), (256, "4")),
        cache_read_mtok=Decimal("0.5"),
        output_mtok=rate("3", (200, "6")),
    )
    sold(openai=[model])
    assert tiers(price_of("m", None, None, at=NOW)) == (
        Tier(0, 1_000_000, 500_000, 3_000_000),
        Tier(128, 2_000_000, 500_000, 3_000_000),
        Tier(200, 2_000_000, 500_000, 6_000_000),
        Tier(256, 4_000_000, 500_000, 6_000_000),
    )


def test_figures_finer_than_a_micro_dollar_are_rounded_up(sold: Callable[..., None]) -> None:
    sold(openai=[a_model("m", input_mtok=Decimal("0.0000001"), output_mtok=Decimal("0.0000021"))])
    assert tiers(price_of("m", None, None, at=NOW)) == (Tier(0, 1, 1, 3),)


@pytest.mark.parametrize(("day", "dollars"), [(9, 2), (11, 1)])
def test_the_price_in_force_counts(sold: Callable[..., None], day: int, dollars: int) -> None:
    old = lists.ConditionalPrice(prices=lists.ModelPrice(input_mtok=Decimal(2), output_mtok=Decimal(2)))
    new = lists.ConditionalPrice(
        lists.StartDateConstraint(datetime(2026, 11, 10).date()),
        prices=lists.ModelPrice(input_mtok=Decimal(1), output_mtok=Decimal(1)),
    )
    sold(openai=[a_model("m", old, new)])
    price = tiers(price_of("m", None, None, at=datetime(2026, 11, day, tzinfo=UTC)))
    assert price[0].input == dollars * 1_000_000


@pytest.mark.parametrize("hour", range(0, 24, 3))
def test_the_dearest_hour_of_the_day_counts(hour: int) -> None:
    price = price_of("deepseek-chat", "https://api.deepseek.com", None, at=NOW.replace(hour=hour))
    assert tiers(price) == (Tier(0, 270_000, 70_000, 1_100_000),)


def test_the_dearest_of_those_who_sell_a_model_counts(sold: Callable[..., None]) -> None:
    cheap, dear = (a_model("m", input_mtok=Decimal(n), output_mtok=Decimal(n)) for n in (1, 2))
    sold(aaa=[cheap], bbb=[dear], ccc=[cheap])
    assert tiers(price_of("M", LOCAL, None, at=NOW))[0].input == 2_000_000
    assert tiers(price_of("m", "https://api.ccc.example/v1", None, at=NOW))[0].input == 1_000_000
    assert price_of("m-2", LOCAL, None, at=NOW) is None
    assert price_of("m-2", "https://api.ccc.example/v1", None, at=NOW) is not None


@pytest.mark.parametrize(
    "rates",
    [
        {},
        {"input_mtok": Decimal(1)},
        {"output_mtok": Decimal(1)},
        {"input_mtok": Decimal(1), "output_mtok": Decimal(1), "requests_kcount": Decimal(5)},
    ],
)
def test_a_model_that_bills_more_than_tokens_has_no_price(sold: Callable[..., None], rates: dict[str, Decimal]) -> None:
    sold(openai=[a_model("m", **rates)])
    assert price_of("m", None, None, at=NOW) is None


def test_a_reply_of_a_model_that_bills_each_call_too_costs_that_beside_its_tokens(sold: Callable[..., None]) -> None:
    rates = {"input_mtok": Decimal(1), "output_mtok": Decimal(2), "requests_kcount": Decimal("12.0005")}
    sold(openai=[a_model("m", **rates)])
    price = price_of_reply("m", None, at=NOW)
    assert price is not None
    assert price.cost(Usage(1_000, 500)) == 12_001 + 1_000 + 1_000
    sold(openai=[a_model("m", requests_kcount=Decimal(5))])
    assert price_of_reply("m", None, at=NOW) is None


@pytest.mark.parametrize(("name", "dollars"), [("gpt-6-sol", "2.5"), ("claude-x", "2")])
def test_input_is_priced_as_a_cache_write_where_the_provider_caches_unasked(
    sold: Callable[..., None], name: str, dollars: str
) -> None:
    rates = {"input_mtok": Decimal(2), "cache_write_mtok": Decimal("2.5"), "output_mtok": Decimal(10)}
    sold(openai=[a_model(name, **rates)])
    assert tiers(price_of(name, None, None, at=NOW))[0].input == Decimal(dollars) * 1_000_000


def test_reasoning_that_costs_more_than_output_sets_the_price_of_output(sold: Callable[..., None]) -> None:
    sold(openai=[a_model("m", input_mtok=Decimal(1), output_mtok=Decimal(2), output_reasoning_mtok=Decimal(3))])
    assert tiers(price_of("m", None, None, at=NOW))[0].output == 3_000_000


FALLBACK = {"input": "0.01", "output": "0.02"}


@pytest.mark.parametrize("base_url", [None, OPENAI, LOCAL])
def test_a_known_price_is_never_replaced_by_that_for_unknown_models(base_url: str | None) -> None:
    assert price_of("gpt-4o", base_url, None, FALLBACK, NOW) == price_of("gpt-4o", base_url, None, None, NOW)


def test_an_unknown_model_has_the_price_for_unknown_models() -> None:
    price = price_of("nobody-knows-this", LOCAL, None, FALLBACK, NOW)
    assert price is not None
    assert (price.source, tiers(price)) == ("BACKSTAY_MODEL_PRICE", (Tier(0, 10_000, 10_000, 20_000),))


def test_the_agents_own_price_comes_before_both() -> None:
    own = {"input": "3", "output": "15"}
    for name in ("gpt-4o", "nobody-knows-this"):
        price = price_of(name, LOCAL, own, FALLBACK, NOW)
        assert price is not None
        assert price.source == "agent.toml"


def test_other_kinds_of_tokens_have_the_prices_that_the_list_knows(sold: Callable[..., None]) -> None:
    rates = {"input_mtok": "1", "output_mtok": "2", "cache_write_mtok": "1.25", "cache_write_1h_mtok": "2"}
    more = {"input_audio_mtok": "32", "input_image_mtok": "5", "output_audio_mtok": "64"}
    sold(openai=[a_model("claude-x", **{key: Decimal(rate) for key, rate in {**rates, **more}.items()})])
    assert tiers(price_of("claude-x", None, None, at=NOW)) == (
        Tier(0, 1_000_000, 1_000_000, 2_000_000, 1_250_000, 32_000_000, 64_000_000),
    )


def test_the_owner_may_say_what_writing_to_a_cache_costs() -> None:
    price = price_of("m", None, {"input": "3", "cached_input": "0.3", "cache_write": "3.75", "output": "15"})
    assert tiers(price) == (Tier(0, 3_000_000, 300_000, 15_000_000, 3_750_000),)


@pytest.mark.parametrize("name", ["claude-sonnet-4-5-20250929", "claude-3-5-haiku-latest"])
def test_a_cache_write_is_billed_as_the_list_bills_it_and_never_above_the_hold(name: str) -> None:
    price = price_of(name, "https://api.anthropic.com/v1/", None, at=NOW)
    assert price is not None
    usage = Usage(1_000, 100, cached_tokens=200, written_tokens=700)
    reported = lists.Usage(input_tokens=1_000, output_tokens=100, cache_read_tokens=200, cache_write_tokens=700)
    listed = calc_price(reported, name, provider_id="anthropic", genai_request_timestamp=NOW).total_price * 1_000_000
    assert listed <= price.cost(usage) < listed + 1
    assert price.cost(Usage(1_000, 100, written_tokens=1_000)) <= price.worst_case(1_000, 100)


DEAR = {
    "o1-pro": (150, 600),
    "azure/o1-pro": (150, 600),
    "openai/o1-pro:online": (150, 600),
    "openai:o1-pro": (150, 600),
    "o1-pro-2025-03-19": (150, 600),
    "anthropic/claude-opus-4.1": (15, 75),
    "claude-opus-4-1-20250805": (15, 75),
    "us.anthropic.claude-opus-4-1-20250805-v1:0": (15, 75),
    "vertex_ai/claude-opus-4-1@20250805": (15, 75),
    "x-ai/grok-4": (3, 15),
    "models/gemini-2.5-pro": (1.25, 10),
}


@pytest.mark.parametrize(("name", "dollars"), DEAR.items())
@pytest.mark.parametrize(
    "base_url", [None, LOCAL, OPENAI, "https://api.groq.com/openai/v1", "https://openrouter.ai/api/v1"]
)
def test_the_model_of_a_reply_is_priced_however_a_gateway_spells_it(
    base_url: str | None, name: str, dollars: tuple[float, float]
) -> None:
    first = tiers(price_of_reply(name, base_url, NOW))[0]
    assert first.input >= dollars[0] * 1_000_000
    assert first.output >= dollars[1] * 1_000_000


@pytest.mark.parametrize("name", DEAR)
def test_a_model_that_is_asked_for_by_a_gateways_name_is_known_at_an_unknown_address(name: str) -> None:
    price = price_of(name, LOCAL, None, FALLBACK, NOW)
    assert price is not None
    assert price.source != "BACKSTAY_MODEL_PRICE"


@pytest.mark.parametrize("seller", ["openai", "aaa"])
def test_a_fee_of_each_call_is_seen_in_any_spelling_of_the_name(sold: Callable[..., None], seller: str) -> None:
    fee = a_model("m-pro", input_mtok=Decimal(3), output_mtok=Decimal(15), requests_kcount=Decimal(14))
    sold(**{seller: [a_model("maker/m-pro", input_mtok=Decimal(1), output_mtok=Decimal(1)), fee]})
    assert price_of("maker/m-pro", OPENAI, None, at=NOW) is None
    of_reply = price_of_reply("maker/m-pro", OPENAI, at=NOW)
    assert of_reply is not None
    assert (of_reply.call, of_reply.tiers[0].input) == (14_000, 3_000_000)


def test_a_spelling_never_settles_cheaper_than_the_exact_name(sold: Callable[..., None]) -> None:
    def of(name: str, dollars: int) -> lists.ModelInfo:
        return a_model(name, input_mtok=Decimal(dollars), output_mtok=Decimal(dollars))

    sold(aaa=[of("m-pro-2024-01-01", 9), of("m-pro-2025-01-01", 3)], bbb=[of("maker/m-pro", 5)])
    assert tiers(price_of_reply("other/m-pro:nitro", LOCAL, NOW))[0].input == 9_000_000
    assert tiers(price_of_reply("maker/m-pro", LOCAL, NOW))[0].input == 5_000_000


@pytest.mark.parametrize("name", ["llama3:8b", "qwen3:8b", "scripted", "ft:gpt-4o:acme::x", "gpt-nobody"])
def test_a_reply_by_a_model_that_nobody_sells_has_no_price_of_its_own(name: str) -> None:
    assert price_of_reply(name, LOCAL, NOW) is None
