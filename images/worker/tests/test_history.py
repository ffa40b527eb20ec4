import logging
import re
from collections.abc import Sequence
from pathlib import Path

import pytest

from snack_worker.chat_input import ChatInput, Message
from snack_worker.errors import WorkerError
from snack_worker.history import fit_conversation
from snack_worker.persona import persona
from snack_worker.settings import SettingsError
from snack_worker.tokenizer import CountTokens, estimate_tokens, read_prompt_format

from .real_tokenizers import official, template_file, tokenizer
from .worker_environment import MODEL, MODELS

_SYSTEM = persona(0)


def _message(role: str, content: str) -> Message:
    return {"role": role, "content": content}


def _messages(number: int) -> list[Message]:
    return [_message("assistant" if index % 2 else "user", f"{index}🍑" + "あ" * 60) for index in range(number)]


def _read_counter(model: str, directory: Path) -> CountTokens:
    tokenizer(model).save(str(directory / "tokenizer.json"))
    return read_prompt_format(directory / "tokenizer.json", template_file(model)).count_tokens


@pytest.fixture(params=MODELS)
def count_tokens(request: pytest.FixtureRequest, tmp_path: Path) -> CountTokens:
    """Token counter of each model, with its real tokenizer."""
    return _read_counter(request.param, tmp_path)


def _chat(messages: list[Message], *, is_text: bool = False) -> ChatInput:
    return ChatInput(messages=messages, params={}, stream=True, request_id=None, is_text=is_text)


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


def test_persona_and_newest_message_are_never_dropped(count_tokens: CountTokens) -> None:
    messages = [*_messages(40), _message("user", "ね" * 300)]
    context_tokens = count_tokens([_SYSTEM, messages[-1]]) + 200
    assert _fit(messages, count_tokens, context_tokens) == [_SYSTEM, messages[-1]]


def test_only_the_messages_that_fit_are_counted_in_a_long_conversation() -> None:
    counted_chars = 0

    def count_tokens(messages: Sequence[Message]) -> int:
        nonlocal counted_chars
        counted_chars += sum(len(message["content"]) for message in messages)
        return estimate_tokens(messages)

    messages = [_message("assistant" if index % 2 else "user", "あ" * 2_000) for index in range(39)]
    _, *kept = _fit(messages, count_tokens, 10_000)
    assert kept == messages[-3:]
    # The whole conversation has 78,000 characters.
    assert counted_chars < 40_000


def test_longest_message_of_ordinary_japanese_fits_into_the_context(count_tokens: CountTokens) -> None:
    ordinary = (Path(__file__).parent / "ten_turns.txt").read_text(encoding="utf-8")
    message = _message("user", (ordinary * 3)[:2_000])
    fitted = fit_conversation(
        _chat([message]), _SYSTEM, max_tokens=512, context_tokens=4_096, count_tokens=count_tokens
    )
    assert fitted == [_SYSTEM, message]


def test_longest_message_of_the_contract_fits_at_every_hour_when_tokens_are_estimated() -> None:
    message = _message("user", "あ" * 2_000)
    for system in [persona(day * 86_400 + hour * 3_600) for day in range(0, 360, 30) for hour in range(24)]:
        fitted = fit_conversation(
            _chat([message]), system, max_tokens=512, context_tokens=4_096, count_tokens=estimate_tokens
        )
        assert fitted == [system, message]


@pytest.mark.parametrize("text", ["<", "[", "\n", "𩸽", "a ", "あ"])
def test_short_conversation_fits_into_the_context_although_its_tokens_are_not_counted(
    count_tokens: CountTokens, text: str
) -> None:
    uncounted = 0
    for length in range(1, 400, 3):
        counts: list[int] = []

        def count(messages: Sequence[Message], counts: list[int] = counts) -> int:
            counts.append(count_tokens(messages))
            return counts[-1]

        messages = [_message("user", text * length), _message("assistant", text), _message("user", text)]
        fitted = _fit(messages, count, 2_048)
        # One count belongs to the persona.
        if len(counts) == 1:
            uncounted += 1
            assert count_tokens(fitted) + 200 <= 2_048
    assert uncounted > 10


@pytest.mark.parametrize("text", ["𩸽", "🍑", "龘"])
def test_error_states_the_allowed_number_of_characters_for_a_message_of_rare_characters(
    count_tokens: CountTokens, text: str
) -> None:
    messages = [*_messages(4), _message("user", text * 2_000)]
    with pytest.raises(WorkerError) as caught:
        _fit(messages, count_tokens, 4_096)
    message = re.fullmatch(
        r"input\.messages\[4\]\.content: about (\d+) characters of this kind are allowed: "
        r"emoji and rare characters count several times\.",
        caught.value.message,
    )
    assert caught.value.code == "too_long"
    assert message is not None
    chars = int(message[1])
    assert 300 < chars < 2_000
    assert _fit([_message("user", text * (chars - 10))], count_tokens, 4_096)
    with pytest.raises(WorkerError):
        _fit([_message("user", text * (chars + 10))], count_tokens, 4_096)


def test_error_names_input_text_when_the_client_sent_text_instead_of_messages() -> None:
    chat = _chat([_message("user", "ね" * 300)], is_text=True)
    with pytest.raises(WorkerError) as caught:
        fit_conversation(chat, _SYSTEM, max_tokens=200, context_tokens=1_024, count_tokens=estimate_tokens)
    assert caught.value.message.startswith("input.text: about 0 characters of this kind are allowed")


@pytest.mark.parametrize("model", MODELS)
def test_token_count_equals_the_count_of_the_official_tokenizer(model: str, tmp_path: Path) -> None:
    count_tokens = _read_counter(model, tmp_path)
    # This text has more tokens than characters.
    messages = [_SYSTEM, _message("user", "𩸽の🍣をください\n\t ね" * 20)]
    assert count_tokens(messages) == len(official(model, messages)) > estimate_tokens(messages)


def test_token_count_is_estimated_and_a_warning_is_logged_when_the_tokenizer_is_missing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    unknown = read_prompt_format(Path("/nowhere/tokenizer.json"), Path("/nowhere/template"))
    assert (unknown.count_tokens, unknown.stop) == (estimate_tokens, {})
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
        read_prompt_format(tokenizer_file, template)
    tokenizer(MODEL).save(str(tokenizer_file))
    with pytest.raises(SettingsError, match=r"^CHAT_TEMPLATE_FILE: "):
        read_prompt_format(tokenizer_file, template)
    template.write_text("{% if %}")
    with pytest.raises(SettingsError, match=r"^CHAT_TEMPLATE_FILE: "):
        read_prompt_format(tokenizer_file, template)
