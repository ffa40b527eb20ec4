from datetime import datetime
from itertools import takewhile

import pytest

from snack_worker.persona import TOKYO, persona


def _persona_at(hour: int, minute: int = 0) -> str:
    return persona(datetime(2026, 11, 25, hour, minute, tzinfo=TOKYO).timestamp())["content"]


def test_persona_is_a_system_message_that_contains_the_name_of_the_assistant() -> None:
    assert persona(0)["role"] == "system"
    assert "美砂樹ママ" in _persona_at(20)


_GREETINGS = [
    (5, "あら、早いのね"),
    (17, "あら、早いのね"),
    (18, "いらっしゃい"),
    (22, "いらっしゃい"),
    (23, "遅くまで"),
    (4, "遅くまで"),
]


@pytest.mark.parametrize(("hour", "greeting"), _GREETINGS, ids=[f"{hour}:00" for hour, _ in _GREETINGS])
def test_greeting_depends_on_the_hour_in_tokyo(hour: int, greeting: str) -> None:
    assert greeting in _persona_at(hour).splitlines()[-1]
    assert _persona_at(hour) == _persona_at(hour, 59)


def test_only_the_greeting_at_the_end_of_the_persona_changes_with_the_hour() -> None:
    variants = {_persona_at(hour) for hour in range(24)}
    assert len(variants) == 3
    shared_length = sum(
        1 for _ in takewhile(lambda characters: len(set(characters)) == 1, zip(*variants, strict=False))
    )
    assert all(len(variant) - shared_length < 100 for variant in variants)
