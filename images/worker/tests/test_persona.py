from datetime import datetime
from itertools import takewhile

import pytest

from snack_worker.persona import TOKYO, persona


def _at(hour: int, minute: int = 0) -> str:
    return persona(datetime(2026, 11, 25, hour, minute, tzinfo=TOKYO).timestamp())["content"]


def test_she_is_told_who_she_is() -> None:
    assert persona(0)["role"] == "system"
    assert "美砂樹ママ" in _at(20)


@pytest.mark.parametrize(
    ("hour", "greeting"),
    [
        (5, "あら、早いのね"),
        (17, "あら、早いのね"),
        (18, "いらっしゃい"),
        (22, "いらっしゃい"),
        (23, "遅くまで"),
        (4, "遅くまで"),
    ],
)
def test_she_greets_as_the_hour_in_tokyo_asks(hour: int, greeting: str) -> None:
    assert greeting in _at(hour).splitlines()[-1]
    assert _at(hour) == _at(hour, 59)


def test_all_hours_share_the_persona_up_to_the_greeting() -> None:
    variants = {_at(hour) for hour in range(24)}
    assert len(variants) == 3
    shared = sum(1 for _ in takewhile(lambda characters: len(set(characters)) == 1, zip(*variants, strict=False)))
    assert all(len(variant) - shared < 100 for variant in variants)
