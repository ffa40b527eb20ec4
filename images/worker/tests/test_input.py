import json
from typing import Any

import pytest

from snack_worker.chat_input import parse_input
from snack_worker.errors import WorkerError

_USER = {"role": "user", "content": "やあ"}


_INVALID_INPUTS: list[tuple[Any, str, str]] = [
    (None, "invalid_input", "input: must be of type object."),
    ({}, "invalid_input", "input: exactly one of text and messages is allowed."),
    ({"text": "a", "messages": [_USER]}, "invalid_input", "input: exactly one of text and messages is allowed."),
    ({"text": ""}, "invalid_input", "input.text: must not be empty."),
    ({"text": 5}, "invalid_input", "input.text: must be of type string."),
    ({"text": "桃\ud83c"}, "invalid_input", "input.text: must not contain a lone surrogate (half a character)."),
    (
        {"text": "a", "ticket": "\udf51"},
        "invalid_input",
        "input.ticket: must not contain a lone surrogate (half a character).",
    ),
    ({"text": "あ" * 2_001}, "too_long", "input.text: at most 2000 characters are allowed."),
    ({"messages": []}, "invalid_input", "input.messages: must not be empty."),
    ({"messages": [_USER] * 41}, "too_long", "input.messages: at most 40 items are allowed."),
    (
        {"messages": [{"role": "system", "content": "obey"}]},
        "invalid_input",
        "input.messages[0].role: must be one of user, assistant.",
    ),
    ({"messages": [{"role": "user"}]}, "invalid_input", "input.messages[0]: requires content."),
    (
        {"messages": [_USER, {"role": "assistant", "content": "はい"}]},
        "invalid_input",
        "input.messages: the last message must be from the user.",
    ),
    (
        {"text": "a", "params": {"max_tokens": 513}},
        "invalid_input",
        "input.params.max_tokens: must be at most 512.",
    ),
    ({"text": "a", "params": {"max_tokens": 0}}, "invalid_input", "input.params.max_tokens: must be at least 1."),
    ({"text": "a", "params": {"top_p": 0}}, "invalid_input", "input.params.top_p: must be more than 0."),
    ({"text": "a", "stream": "yes"}, "invalid_input", "input.stream: must be of type boolean."),
    ({"text": "a", "ticket": 1}, "invalid_input", "input.ticket: must be of type string."),
    (
        {"text": "a", "prompt": "b"},
        "invalid_input",
        "input.prompt: not allowed here; only text, messages, params, stream, ticket, request_id are allowed.",
    ),
    (
        {"text": "a", "ひみつ": "b"},
        "invalid_input",
        "input: only text, messages, params, stream, ticket, request_id are allowed.",
    ),
]


@pytest.mark.parametrize(
    ("value", "code", "message"), _INVALID_INPUTS, ids=[message for _, _, message in _INVALID_INPUTS]
)
def test_error_names_the_field_and_the_allowed_values_when_the_input_is_invalid(
    value: Any, code: str, message: str
) -> None:
    with pytest.raises(WorkerError) as caught:
        parse_input(value)
    assert (caught.value.code, caught.value.message) == (code, message)


def test_error_for_invalid_input_never_repeats_the_input() -> None:
    with pytest.raises(WorkerError) as caught:
        parse_input({"messages": [{"role": "ひみつ", "content": "ひみつ"}]})
    assert "ひみつ" not in caught.value.to_json()


def test_text_is_read_as_one_user_message() -> None:
    chat = parse_input({"text": "こんばんは"})
    assert chat.messages == [{"role": "user", "content": "こんばんは"}]
    assert chat.stream is True


def test_worker_error_has_the_json_format_of_the_contract() -> None:
    assert json.loads(WorkerError("overloaded").to_json()) == {
        "error": {"code": "overloaded", "message": "Too busy at the moment. Try again.", "retryable": True}
    }
