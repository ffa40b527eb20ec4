from datetime import datetime
from itertools import takewhile

import pytest

from snack_worker.persona import TOKYO, persona


def _persona_at(hour: int, minute: int = 0, *, month: int = 11) -> str:
    return persona(datetime(2026, month, 25, hour, minute, tzinfo=TOKYO).timestamp())["content"]


def test_persona_is_a_system_message_that_contains_the_name_of_the_assistant() -> None:
    assert persona(0)["role"] == "system"
    assert "美砂樹ママ" in _persona_at(20)


_GREETINGS = [
    (5, "いまは朝で", "おはよう、早いのね"),
    (10, "いまは朝で", "おはよう、早いのね"),
    (11, "いまは昼間で", "あら、早いのね"),
    (17, "いまは昼間で", "あら、早いのね"),
    (18, "いまは夜で", "いらっしゃい"),
    (22, "いまは夜で", "いらっしゃい"),
    (23, "いまは夜ふけで", "遅くまで"),
    (4, "いまは夜ふけで", "遅くまで"),
]


@pytest.mark.parametrize(("hour", "time", "greeting"), _GREETINGS, ids=[f"{hour}:00" for hour, *_ in _GREETINGS])
def test_greeting_depends_on_the_hour_in_tokyo(hour: int, time: str, greeting: str) -> None:
    last_line = _persona_at(hour).splitlines()[-1]
    assert last_line.startswith(time)
    assert greeting in last_line
    assert _persona_at(hour) == _persona_at(hour, 59)


def test_season_names_the_month_and_its_fruits() -> None:
    seasons = [_persona_at(20, month=month).splitlines()[-2] for month in range(1, 13)]
    months = ["一月", "二月", "三月", "四月", "五月", "六月", "七月", "八月", "九月", "十月", "十一月", "十二月"]
    for month, season in zip(months, seasons, strict=True):
        assert season.startswith(f"いまは{month}、")
        assert "旬の果物は、" in season
    assert "みかん" in seasons[0]
    assert "すいか" in seasons[7]


def test_season_changes_at_the_beginning_of_the_month_in_tokyo() -> None:
    midnight_s = datetime(2026, 12, 1, tzinfo=TOKYO).timestamp()
    assert "いまは十一月" in persona(midnight_s - 1)["content"]
    assert "いまは十二月" in persona(midnight_s)["content"]


def test_only_the_greeting_at_the_end_of_the_persona_changes_with_the_hour() -> None:
    variants = {_persona_at(hour) for hour in range(24)}
    assert len(variants) == 4
    assert _chars_after_the_shared_part(variants) < 100


def test_only_the_season_and_the_greeting_at_the_end_of_the_persona_change_with_the_month() -> None:
    variants = {_persona_at(20, month=month) for month in range(1, 13)}
    assert len(variants) == 12
    assert _chars_after_the_shared_part(variants) < 150


def _chars_after_the_shared_part(variants: set[str]) -> int:
    columns = zip(*variants, strict=False)
    shared = sum(1 for _ in takewhile(lambda characters: len(set(characters)) == 1, columns))
    return max(len(variant) for variant in variants) - shared
