import pytest

from .prefix_cache import measure


@pytest.mark.parametrize("model", ["phi3", "mistral"])
def test_most_of_every_prompt_is_in_the_prefix_cache(model: str) -> None:
    shares = measure(model)
    assert shares["ours"] >= 0.85
    assert shares["oursAcrossTheHour"] >= 0.8
    assert shares["oursWithGenerated"] > shares["ours"]


def test_mistrals_official_format_would_lose_most_of_it() -> None:
    assert measure("mistral")["official"] < 0.35
