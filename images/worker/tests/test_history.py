import logging
from pathlib import Path

import pytest

from snack_worker.chat_input import ChatInput, Message
from snack_worker.errors import WorkerError
from snack_worker.history import conversation
from snack_worker.persona import persona
from snack_worker.settings import SettingsError
from snack_worker.tokenizer import Count, estimate, read_counter

from .real_tokenizers import IMAGES, TOKENIZERS, official

_MODELS = ["phi3", "mistral"]
_SYSTEM = persona(0)


def _turn(role: str, content: str) -> Message:
    return {"role": role, "content": content}


def _talk(turns: int) -> list[Message]:
    return [_turn("assistant" if index % 2 else "user", f"{index}🍑" + "あ" * 60) for index in range(turns)]


@pytest.fixture(params=_MODELS)
def count(request: pytest.FixtureRequest, tmp_path: Path) -> Count:
    """Counts as the worker in the model's image does, with the model's own tokenizer."""
    TOKENIZERS[request.param]().save(str(tmp_path / "tokenizer.json"))
    return read_counter(tmp_path / "tokenizer.json", IMAGES / request.param / "chat_template.jinja")


def _chat(messages: list[Message], *, is_text: bool = False) -> ChatInput:
    return ChatInput(messages=messages, params={}, stream=True, ticket=None, request_id=None, is_text=is_text)


def _show(messages: list[Message], count: Count, context_tokens: int) -> list[Message]:
    return conversation(_chat(messages), _SYSTEM, max_tokens=200, context_tokens=context_tokens, count=count)


def test_consecutive_turns_of_one_role_are_merged() -> None:
    turns = [_turn("user", "やあ"), _turn("user", "元気？"), _turn("assistant", "ええ"), _turn("user", "よかった")]
    assert _show(turns, estimate, 4_096) == [
        _SYSTEM,
        _turn("user", "やあ\n元気？"),
        _turn("assistant", "ええ"),
        _turn("user", "よかった"),
    ]


def test_a_conversation_that_fits_is_shown_whole_also_when_she_opened_it() -> None:
    assert _show(_talk(9), estimate, 4_096) == [_SYSTEM, *_talk(9)]
    assert _show(_talk(8)[1:], estimate, 4_096) == [_SYSTEM, *_talk(8)[1:]]


def test_the_oldest_pairs_go_and_no_more_than_must(count: Count) -> None:
    turns = _talk(61)
    for context_tokens in range(1_536, 4_096, 97):
        system, *kept = _show(turns, count, context_tokens)
        left_out = len(turns) - len(kept)
        assert system == _SYSTEM
        assert kept == turns[left_out:]
        assert left_out > 0
        assert left_out % 2 == 0
        assert count([system, *kept]) + 200 <= context_tokens < count([system, *turns[left_out - 2 :]]) + 200


def test_an_opening_of_hers_goes_before_everything_else(count: Count) -> None:
    turns = _talk(12)[1:]
    context_tokens = count([_SYSTEM, *turns]) + 200
    assert _show(turns, count, context_tokens) == [_SYSTEM, *turns]
    assert _show(turns, count, context_tokens - 1) == [_SYSTEM, *turns[1:]]


def test_the_last_message_always_stays_and_persona_with_it(count: Count) -> None:
    turns = [*_talk(40), _turn("user", "ね" * 300)]
    context_tokens = count([_SYSTEM, turns[-1]]) + 200
    assert _show(turns, count, context_tokens) == [_SYSTEM, turns[-1]]


def test_a_last_message_that_does_not_fit_is_too_long_and_says_how_much_does(count: Count) -> None:
    turns = [*_talk(4), _turn("user", "ね" * 300)]
    taken = count([_SYSTEM, turns[-1]]) - count([_SYSTEM, _turn("user", "")])
    with pytest.raises(WorkerError) as caught:
        _show(turns, count, count([_SYSTEM, turns[-1]]) + 199)
    assert caught.value.code == "too_long"
    assert caught.value.message == (
        f"input.messages[4].content: at most {taken - 1} tokens are allowed, and this has {taken}."
    )


def test_a_text_that_does_not_fit_is_named_as_it_was_sent() -> None:
    chat = _chat([_turn("user", "ね" * 300)], is_text=True)
    with pytest.raises(WorkerError) as caught:
        conversation(chat, _SYSTEM, max_tokens=200, context_tokens=1_024, count=estimate)
    assert caught.value.message.startswith("input.text: at most 0 tokens are allowed, and this has ")


@pytest.mark.parametrize("model", _MODELS)
def test_what_is_counted_is_what_the_engine_computes(model: str, tmp_path: Path) -> None:
    TOKENIZERS[model]().save(str(tmp_path / "tokenizer.json"))
    template = IMAGES / model / "chat_template.jinja"
    counted = read_counter(tmp_path / "tokenizer.json", template)
    # These take more tokens than they have characters.
    messages = [_SYSTEM, _turn("user", "𩸽の🍣をください\n\t ね" * 20)]
    assert counted(messages) == len(official(model, messages)) > estimate(messages)


def test_without_a_tokenizer_lengths_are_estimated_and_the_log_says_so(caplog: pytest.LogCaptureFixture) -> None:
    counted = read_counter(Path("/nowhere/tokenizer.json"), Path("/nowhere/template"))
    assert counted is estimate
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert "no tokenizer at /nowhere/tokenizer.json: lengths of prompts are estimated" in caplog.text


@pytest.mark.parametrize("model", _MODELS)
def test_the_estimate_is_not_below_the_count_of_what_people_say(model: str, tmp_path: Path) -> None:
    TOKENIZERS[model]().save(str(tmp_path / "tokenizer.json"))
    counted = read_counter(tmp_path / "tokenizer.json", IMAGES / model / "chat_template.jinja")
    talk = [_SYSTEM, _turn("user", "ママ、今日は飲みに来たよ。"), _turn("assistant", "あら、いらっしゃい。"), *_talk(3)]
    assert counted(talk) <= estimate(talk)


def test_a_broken_tokenizer_or_template_is_named(tmp_path: Path) -> None:
    broken, template = tmp_path / "tokenizer.json", tmp_path / "template"
    broken.write_text("{}")
    with pytest.raises(SettingsError, match=f"^TOKENIZER_FILE: {broken} is not a tokenizer$"):
        read_counter(broken, template)
    TOKENIZERS["phi3"]().save(str(broken))
    with pytest.raises(SettingsError, match=r"^CHAT_TEMPLATE_FILE: "):
        read_counter(broken, template)
    template.write_text("{% if %}")
    with pytest.raises(SettingsError, match=r"^CHAT_TEMPLATE_FILE: "):
        read_counter(broken, template)
