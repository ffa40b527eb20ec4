import logging
from pathlib import Path

import pytest

from snack_worker.chat_input import ChatInput, Message
from snack_worker.errors import WorkerError
from snack_worker.history import fit_conversation
from snack_worker.persona import persona
from snack_worker.settings import SettingsError
from snack_worker.tokenizer import CountTokens, estimate_tokens, read_counter

from .real_tokenizers import official, template_file, tokenizer
from .worker_environment import MODEL, MODELS

_SYSTEM = persona(0)


def _message(role: str, content: str) -> Message:
    return {"role": role, "content": content}


def _messages(number: int) -> list[Message]:
    return [_message("assistant" if index % 2 else "user", f"{index}🍑" + "あ" * 60) for index in range(number)]


def _read_counter(model: str, directory: Path) -> CountTokens:
    tokenizer(model).save(str(directory / "tokenizer.json"))
    return read_counter(directory / "tokenizer.json", template_file(model))


@pytest.fixture(params=MODELS)
def count_tokens(request: pytest.FixtureRequest, tmp_path: Path) -> CountTokens:
    """Token counter of each model, with its real tokenizer."""
    return _read_counter(request.param, tmp_path)


def _chat(messages: list[Message], *, is_text: bool = False) -> ChatInput:
    return ChatInput(messages=messages, params={}, stream=True, ticket=None, request_id=None, is_text=is_text)


def _fit(messages: list[Message], count_tokens: CountTokens, context_tokens: int) -> list[Message]:
    return fit_conversation(
        _chat(messages), _SYSTEM, max_tokens=200, context_tokens=context_tokens, count_tokens=count_tokens
    )


def test_consecutive_messages_of_the_same_role_are_merged() -> None:
    messages = [
        _message("user", "やあ"),
        _message("user", "元気？"),
        _message("assistant", "ええ"),
        _message("user", "よかった"),
    ]
    assert _fit(messages, estimate_tokens, 4_096) == [
        _SYSTEM,
        _message("user", "やあ\n元気？"),
        _message("assistant", "ええ"),
        _message("user", "よかった"),
    ]


def test_conversation_is_not_shortened_when_it_fits_into_the_context() -> None:
    assert _fit(_messages(9), estimate_tokens, 4_096) == [_SYSTEM, *_messages(9)]
    assert _fit(_messages(8)[1:], estimate_tokens, 4_096) == [_SYSTEM, *_messages(8)[1:]]


def test_oldest_message_pairs_are_dropped_only_until_the_conversation_fits(count_tokens: CountTokens) -> None:
    messages = _messages(61)
    for context_tokens in range(1_536, 4_096, 97):
        system, *kept = _fit(messages, count_tokens, context_tokens)
        dropped = len(messages) - len(kept)
        assert system == _SYSTEM
        assert kept == messages[dropped:]
        assert dropped > 0
        assert dropped % 2 == 0
        one_pair_more = [system, *messages[dropped - 2 :]]
        assert count_tokens([system, *kept]) + 200 <= context_tokens < count_tokens(one_pair_more) + 200


def test_assistant_message_at_the_start_is_dropped_first_when_the_conversation_is_too_long(
    count_tokens: CountTokens,
) -> None:
    messages = _messages(12)[1:]
    context_tokens = count_tokens([_SYSTEM, *messages]) + 200
    assert _fit(messages, count_tokens, context_tokens) == [_SYSTEM, *messages]
    assert _fit(messages, count_tokens, context_tokens - 1) == [_SYSTEM, *messages[1:]]


def test_persona_and_last_message_are_never_dropped(count_tokens: CountTokens) -> None:
    messages = [*_messages(40), _message("user", "ね" * 300)]
    context_tokens = count_tokens([_SYSTEM, messages[-1]]) + 200
    assert _fit(messages, count_tokens, context_tokens) == [_SYSTEM, messages[-1]]


def test_too_long_last_message_is_rejected_and_the_error_names_the_allowed_length(count_tokens: CountTokens) -> None:
    messages = [*_messages(4), _message("user", "ね" * 300)]
    needed = count_tokens([_SYSTEM, messages[-1]]) - count_tokens([_SYSTEM, _message("user", "")])
    with pytest.raises(WorkerError) as caught:
        _fit(messages, count_tokens, count_tokens([_SYSTEM, messages[-1]]) + 199)
    assert caught.value.code == "too_long"
    assert caught.value.message == (
        f"input.messages[4].content: at most {needed - 1} tokens are allowed, got {needed}."
    )


def test_error_names_input_text_when_the_client_sent_text_instead_of_messages() -> None:
    chat = _chat([_message("user", "ね" * 300)], is_text=True)
    with pytest.raises(WorkerError) as caught:
        fit_conversation(chat, _SYSTEM, max_tokens=200, context_tokens=1_024, count_tokens=estimate_tokens)
    assert caught.value.message.startswith("input.text: at most 0 tokens are allowed, got ")


@pytest.mark.parametrize("model", MODELS)
def test_token_count_equals_the_count_of_the_official_tokenizer(model: str, tmp_path: Path) -> None:
    count_tokens = _read_counter(model, tmp_path)
    # This text has more tokens than characters.
    messages = [_SYSTEM, _message("user", "𩸽の🍣をください\n\t ね" * 20)]
    assert count_tokens(messages) == len(official(model, messages)) > estimate_tokens(messages)


def test_token_count_is_estimated_and_a_warning_is_logged_when_the_tokenizer_is_missing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    counter = read_counter(Path("/nowhere/tokenizer.json"), Path("/nowhere/template"))
    assert counter is estimate_tokens
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert "no tokenizer at /nowhere/tokenizer.json: prompt lengths are estimated" in caplog.text


@pytest.mark.parametrize("model", MODELS)
def test_token_estimate_of_an_ordinary_conversation_is_not_below_the_real_count(model: str, tmp_path: Path) -> None:
    count_tokens = _read_counter(model, tmp_path)
    messages = [
        _SYSTEM,
        _message("user", "ママ、今日は飲みに来たよ。"),
        _message("assistant", "あら、いらっしゃい。"),
        *_messages(3),
    ]
    assert count_tokens(messages) <= estimate_tokens(messages)


def test_error_names_the_variable_when_the_tokenizer_or_template_file_is_invalid(tmp_path: Path) -> None:
    tokenizer_file, template = tmp_path / "tokenizer.json", tmp_path / "template"
    tokenizer_file.write_text("{}")
    with pytest.raises(SettingsError, match=f"^TOKENIZER_FILE: {tokenizer_file} is not a tokenizer$"):
        read_counter(tokenizer_file, template)
    tokenizer(MODEL).save(str(tokenizer_file))
    with pytest.raises(SettingsError, match=r"^CHAT_TEMPLATE_FILE: "):
        read_counter(tokenizer_file, template)
    template.write_text("{% if %}")
    with pytest.raises(SettingsError, match=r"^CHAT_TEMPLATE_FILE: "):
        read_counter(tokenizer_file, template)
