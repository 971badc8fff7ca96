"""The stage takes the model from the settings, and nothing else of the caller's."""

import pytest

from backstay.compare.meter import OPENAI
from backstay.compare.stage import upstream_of
from backstay.errors import ConfigurationError
from backstay.settings import Settings


def test_a_model_without_a_price_is_refused_and_the_mend_is_named() -> None:
    settings = Settings(model="nobody-knows-it", openai_base_url="http://127.0.0.1:9/v1")
    with pytest.raises(ConfigurationError) as raised:
        upstream_of(settings)
    assert raised.value.mend is not None
    assert "BACKSTAY_MODEL_PRICE" in raised.value.mend


def test_without_an_address_it_is_openai() -> None:
    assert upstream_of(Settings(model="gpt-5-mini", openai_base_url=None)).base_url == OPENAI
