"""The name of a model, in what gateways make of it."""

import pytest

from backstay.adapters.model.model_names import bare, plain

SPELLINGS = {
    "o1-pro": [
        "o1-pro",
        "O1-Pro",
        " o1-pro ",
        "azure/o1-pro",
        "openai:o1-pro",
        "openai/o1-pro:online",
        "openrouter/openai/o1-pro",
        "o1-pro-2025-03-19",
        "o1-pro-latest",
    ],
    "claude-opus-4-1": [
        "anthropic/claude-opus-4.1",
        "claude-opus-4-1-20250805",
        "us.anthropic.claude-opus-4-1-20250805-v1:0",
        "bedrock/eu.anthropic.claude-opus-4-1-20250805-v1:0",
        "vertex_ai/claude-opus-4-1@20250805",
        "anthropic/claude-opus-4.1:thinking",
    ],
    "grok-4": ["x-ai/grok-4", "grok-4-0709", "xai/grok-4:free"],
    "gemini-2-5-pro": ["models/gemini-2.5-pro", "google/gemini-2.5-pro"],
    "mistral-large": ["mistral-large-latest", "mistral.mistral-large-2402-v1:0", "mistralai/mistral-large-2512"],
    "deepseek-r1": ["accounts/fireworks/models/deepseek-r1", "deepseek-ai/DeepSeek-R1", "deepseek-r1-0528"],
}


@pytest.mark.parametrize(
    ("model", "spelled"), [(model, spelled) for model, several in SPELLINGS.items() for spelled in several]
)
def test_a_model_is_known_in_every_spelling(model: str, spelled: str) -> None:
    assert plain(spelled) == model
    assert plain(bare(spelled)) == model


@pytest.mark.parametrize(
    "name", ["gpt-4-1", "gpt-5-pro", "deepseek-v3", "claude-opus-4-6-fast", "llama3:8b", "qwen-2-5-72b", "", "scripted"]
)
def test_what_belongs_to_a_name_stays(name: str) -> None:
    assert plain(name) == name
