import pytest

from .prefix_cache import measure
from .real_tokenizers import MISTRAL, models_of
from .worker_environment import MODELS


@pytest.mark.parametrize("model", MODELS)
def test_most_prompt_tokens_of_our_template_are_in_the_prefix_cache(model: str) -> None:
    shares = measure(model)
    assert shares["ours"] >= 0.85
    assert shares["oursAcrossTheHour"] >= 0.8
    assert shares["oursWithGenerated"] > shares["ours"]


@pytest.mark.parametrize("model", models_of(MISTRAL))
def test_most_prompt_tokens_of_mistrals_official_format_are_not_in_the_prefix_cache(model: str) -> None:
    assert measure(model)["official"] < 0.35
