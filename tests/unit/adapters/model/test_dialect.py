"""How a server wants the wire: by its host, the model's name and agent.toml."""

import pytest

from backstay.adapters.model.dialect import DIALECTS, Parameters, Wire, dialect_of, host_of, known


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("api.openai.com", "openai"),
        ("API.OpenAI.com.", "openai"),
        ("eu.api.openai.com", "openai"),
        ("acme.openai.azure.com", "azure"),
        ("acme.services.ai.azure.com", "azure"),
        ("acme.cognitiveservices.azure.com", "azure"),
        ("models.github.ai", "azure"),
        ("models.inference.ai.azure.com", "azure"),
        ("api.mistral.ai", "mistral"),
        ("generativelanguage.googleapis.com", "gemini"),
        ("api.deepseek.com", "deepseek"),
        ("openrouter.ai", "openrouter"),
        ("api.groq.com", "groq"),
        ("api.x.ai", "xai"),
        ("127.0.0.1", "auto"),
        ("api.openai.com.evil.example", "auto"),
        ("notapi.openai.com", "auto"),
        ("openai.azure.com", "auto"),
        ("", "auto"),
    ],
)
def test_a_host_is_known_by_its_whole_name(host: str, name: str) -> None:
    assert known(host) == name


@pytest.mark.parametrize(
    ("base_url", "host"),
    [
        (None, "api.openai.com"),
        ("", "api.openai.com"),
        ("https://api.mistral.ai/v1", "api.mistral.ai"),
        ("http://127.0.0.1:8080/v1", "127.0.0.1"),
        ("not an address", ""),
    ],
)
def test_the_host_is_that_of_the_address(base_url: str | None, host: str) -> None:
    assert host_of(base_url) == host


@pytest.mark.parametrize(
    ("host", "model", "limit"),
    [
        ("api.openai.com", "gpt-4o", "max_completion_tokens"),
        ("acme.openai.azure.com", "prod-chat", "max_completion_tokens"),
        ("acme.services.ai.azure.com", "Mistral-Large-3", "max_tokens"),
        ("models.github.ai", "meta/llama-4", "max_tokens"),
        ("api.mistral.ai", "mistral-large-latest", "max_tokens"),
        ("10.0.0.7", "qwen3", "max_tokens"),
        ("10.0.0.7", "gpt-oss-120b", "max_tokens"),
        ("10.0.0.7", "gpt-4o", "max_tokens"),
        ("10.0.0.7", "gpt-5-mini", "max_completion_tokens"),
        ("10.0.0.7", "openai/gpt-5.1", "max_completion_tokens"),
        ("10.0.0.7", "ft:gpt-5-nano:acme", "max_completion_tokens"),
        ("10.0.0.7", "o3-mini", "max_completion_tokens"),
        ("10.0.0.7", "openai/o4-mini", "max_completion_tokens"),
        ("10.0.0.7", "gpt-10", "max_completion_tokens"),
        ("10.0.0.7", "o100-llama", "max_tokens"),
    ],
)
def test_the_limit_has_the_name_that_host_and_model_know(host: str, model: str, limit: str) -> None:
    assert dialect_of(host, model, "chat", Wire()).output_limit == limit


def test_an_unknown_host_gets_the_shape_that_most_servers_take() -> None:
    dialect = dialect_of("10.0.0.7", "local", "chat", Wire())
    assert (dialect.notes, dialect.empty_content, dialect.tool_name, dialect.parallel_tool_calls) == (
        "joined",
        "empty",
        False,
        None,
    )


def test_a_dialect_is_chosen_by_name_and_each_setting_wins_over_it() -> None:
    chosen = dialect_of("10.0.0.7", "local", "responses", Wire(dialect="groq"))
    assert (chosen.include, chosen.store) == (False, False)
    mended = dialect_of("10.0.0.7", "local", "responses", Wire("groq", Parameters(include=True, notes="separate")))
    assert (mended.include, mended.store, mended.notes) == (True, False, "separate")
    older = Wire(parameters=Parameters(output_limit="max_tokens"))
    assert dialect_of("api.openai.com", "gpt-5", "chat", older).output_limit == "max_tokens"


def test_strict_is_left_out_of_the_chat_api_unless_it_is_asked_for() -> None:
    assert not dialect_of("api.openai.com", "gpt-5", "chat", Wire()).strict
    assert dialect_of("api.openai.com", "gpt-5", "responses", Wire()).strict
    assert dialect_of("api.openai.com", "gpt-5", "chat", Wire(parameters=Parameters(strict=True))).strict


def test_every_known_host_has_a_dialect() -> None:
    assert {known(host) for host in ("api.openai.com", "api.x.ai")} <= set(DIALECTS)
