from snack_worker.persona import CONTEXT_TOKENS, conversation, persona


def _turn(role: str, content: str) -> dict[str, str]:
    return {"role": role, "content": content}


def test_the_persona_comes_first_and_is_the_same_for_everyone() -> None:
    first = conversation([_turn("user", "やあ")], 200)[0]
    second = conversation([_turn("user", "こんばんは"), _turn("assistant", "あら"), _turn("user", "ね")], 100)[0]
    assert first == second == _turn("system", persona())
    assert "美砂樹ママ" in persona()


def test_consecutive_turns_of_one_role_are_merged() -> None:
    turns = [_turn("user", "やあ"), _turn("user", "元気？"), _turn("assistant", "ええ"), _turn("user", "よかった")]
    assert conversation(turns, 200)[1:] == [
        _turn("user", "やあ\n元気？"),
        _turn("assistant", "ええ"),
        _turn("user", "よかった"),
    ]


def test_the_oldest_turns_are_left_out_when_the_context_is_full() -> None:
    turns = [_turn("user" if index % 2 == 0 else "assistant", f"{index}" + "あ" * 400) for index in range(15)]
    kept = conversation(turns, 512)[1:]
    assert kept == turns[-len(kept) :]
    assert 1 < len(kept) < 15
    assert sum(len(turn["content"]) for turn in kept) + len(persona()) + 512 < CONTEXT_TOKENS


def test_the_last_turn_is_never_left_out() -> None:
    turns = [_turn("user", "古い"), _turn("assistant", "はい"), _turn("user", "あ" * 5_000)]
    assert conversation(turns, 200)[1:] == turns[-1:]
