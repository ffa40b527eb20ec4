import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from snack_training.conversations import examine, load
from snack_training.errors import TrainingError
from snack_training.measurements import PersonaReply
from snack_training.persona_rules import broken_rule
from snack_training.prompts import Prompts

from .conftest import MODELS, ROOT

STARTER = ROOT / "data" / "starter.jsonl"
LICENCE = {"licence": "MIT", "origin": "written", "source": "test"}


def _chat(*contents: str) -> dict[str, Any]:
    roles = ("user", "assistant")
    return {"messages": [{"role": roles[index % 2], "content": text} for index, text in enumerate(contents)]}


def _write(folder: Path, *lines: object, licence: object = LICENCE) -> Path:
    file = folder / "set.jsonl"
    texts = [line if isinstance(line, str) else json.dumps(line, ensure_ascii=False) for line in lines]
    file.write_text("\n".join(texts), encoding="utf-8")
    (folder / "set.license.json").write_text(json.dumps(licence), encoding="utf-8")
    return file


def _problem(file: Path, prompts: Mapping[str, Prompts], max_tokens: int = 2_048) -> str:
    """Returns the only problem of a file. The result contains the file's name without its folder."""
    [problem] = examine([file], prompts["phi3"], max_tokens=max_tokens)[1]
    return str(problem).replace(f"{file.parent}/", "")


@pytest.mark.parametrize("model", MODELS)
def test_starter_set_passes_every_check_and_has_a_held_out_part(model: str, prompts: Mapping[str, Prompts]) -> None:
    data = load([STARTER], prompts[model], max_tokens=2_048, held_out_percent=10)
    assert len(data.trained) > 30
    assert len(data.held_out) > 2
    assert data.sources[0]["licence"] == "MIT"


def test_starter_set_breaks_no_persona_rule(prompts: Mapping[str, Prompts]) -> None:
    conversations, _ = examine([STARTER], prompts["phi3"], max_tokens=2_048)
    texts = [turn["content"] for one in conversations for turn in one.messages if turn["role"] == "assistant"]
    broken = [
        (rule, text)
        for text in texts
        if (rule := broken_rule(PersonaReply("x", "talk", "en" if text.isascii() else "ja", "", text, "stop")))
    ]
    assert broken == []


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("{", "set.jsonl:1: line: must be one JSON object"),
        ([1], "set.jsonl:1: line: must be one JSON object"),
        ({**_chat("a", "b"), "id": 1}, "set.jsonl:1: id: is unknown; only messages and time are allowed"),
        ({"time": "2026-07-10T20:30"}, "set.jsonl:1: messages: is required"),
        (
            {"messages": [{"role": "system", "content": "a"}]},
            "set.jsonl:1: messages[0].role: must be one of user, assistant.",
        ),
        (_chat("a" * 2_001, "b"), "set.jsonl:1: messages[0].content: at most 2000 characters are allowed."),
        (_chat("a", ""), "set.jsonl:1: messages[1].content: must not be empty."),
        (
            {**_chat("a", "b"), "time": "20:30"},
            "set.jsonl:1: time: must be a time in Tokyo such as 2026-07-10T20:30",
        ),
        (
            {"messages": [{"role": "user", "content": "a"}, {"role": "user", "content": "b"}]},
            "set.jsonl:1: messages[1].role: must be assistant: roles alternate, user first",
        ),
        (_chat("a"), "set.jsonl:1: messages: must end with a message of the assistant"),
        (
            _chat("a", "b<|end|>"),
            "set.jsonl:1: messages[1].content: must not contain <|end|>, which chat templates use; write ＜ or ［",
        ),
        (
            _chat("[INST]", "b"),
            "set.jsonl:1: messages[0].content: must not contain [, which chat templates use; write ＜ or ［",
        ),
        (
            _chat("a\u0000", "b"),
            "set.jsonl:1: messages[0].content: must not contain control characters, except line ends and tabs",
        ),
        (_chat("a", "b "), "set.jsonl:1: messages[1].content: must not begin or end with white space"),
        (
            _chat("090-1234-5678です", "b"),
            "set.jsonl:1: messages[0].content: must not contain personal data (phone number)",
        ),
    ],
)
def test_problem_names_the_file_the_line_the_field_and_the_allowed_values(
    tmp_path: Path, prompts: Mapping[str, Prompts], line: object, problem: str
) -> None:
    assert _problem(_write(tmp_path, line), prompts) == problem


def test_conversation_is_refused_when_the_real_tokenizer_counts_more_tokens_than_the_limit(
    tmp_path: Path, prompts: Mapping[str, Prompts]
) -> None:
    chat = _chat("𩸽" * 300, "はい、どうぞ。")
    file = _write(tmp_path, chat)
    [conversation], _ = examine([file], prompts["phi3"], max_tokens=9_999)
    tokens = len(prompts["phi3"].training_tokens(conversation.with_persona()).ids)
    allowed = f"has {tokens} tokens with the persona; at most 2048 allowed"
    assert _problem(file, prompts) == f"set.jsonl:1: messages: {allowed}"


def test_duplicate_is_refused_even_when_white_space_and_character_widths_differ(
    tmp_path: Path, prompts: Mapping[str, Prompts]
) -> None:
    file = _write(tmp_path, _chat("ABC 1", "b"), _chat("ＡＢＣ　１", "b"))
    duplicate = f"duplicate of {file}:1; remove one of them".replace(f"{tmp_path}/", "")
    assert _problem(file, prompts) == f"set.jsonl:2: messages: {duplicate}"


@pytest.mark.parametrize(
    ("licence", "problem"),
    [
        ({**LICENCE, "licence": "unknown"}, "licence: must be one of MIT, Apache-2.0, CC0-1.0, CC-BY-4.0"),
        (
            {**LICENCE, "origin": "customers"},
            "origin: must be one of written, public, opt-in; customers' conversations need their opt-in",
        ),
        (
            {**LICENCE, "source": " "},
            "source: must say who wrote the conversations, or where they were published",
        ),
        ({"licence": "MIT"}, "fields: must be exactly licence, origin, source"),
    ],
)
def test_file_without_a_valid_licence_is_refused(
    tmp_path: Path, prompts: Mapping[str, Prompts], licence: object, problem: str
) -> None:
    file = _write(tmp_path, _chat("a", "b"), licence=licence)
    assert _problem(file, prompts) == f"set.license.json: {problem}"


def test_byte_order_mark_and_a_line_separator_inside_a_text_are_accepted(
    tmp_path: Path, prompts: Mapping[str, Prompts]
) -> None:
    file = tmp_path / "talks.jsonl"
    turns = [{"role": "user", "content": "改行\u2028だよ"}, {"role": "assistant", "content": "はい。"}]
    line = json.dumps({"messages": turns}, ensure_ascii=False)
    file.write_bytes(b"\xef\xbb\xbf" + line.encode() + b"\r\n")
    file.with_suffix(".license.json").write_text(json.dumps(LICENCE))
    conversations, problems = examine([file], prompts["phi3"], max_tokens=2_048)
    assert problems == []
    assert len(conversations) == 1


def test_set_is_refused_when_it_has_no_conversation_to_train(tmp_path: Path, prompts: Mapping[str, Prompts]) -> None:
    file = tmp_path / "talks.jsonl"
    file.write_text("")
    file.with_suffix(".license.json").write_text(json.dumps(LICENCE))
    with pytest.raises(TrainingError, match="at least one conversation to train is required, and 0 are held out"):
        load([file], prompts["phi3"], max_tokens=2_048, held_out_percent=10)


def test_load_lists_every_problem(tmp_path: Path, prompts: Mapping[str, Prompts]) -> None:
    file = _write(tmp_path, "{", _chat("a"))
    with pytest.raises(TrainingError, match=r"(?s)set.jsonl:1: .*set.jsonl:2: "):
        load([file], prompts["phi3"], max_tokens=2_048, held_out_percent=10)


def test_split_and_hash_of_the_set_do_not_depend_on_the_order(tmp_path: Path, prompts: Mapping[str, Prompts]) -> None:
    chats = [_chat(f"{number}杯目", "はい、どうぞ。") for number in range(40)]
    one = load([_write(tmp_path, *chats)], prompts["phi3"], max_tokens=2_048, held_out_percent=20)
    other = load([_write(tmp_path, *reversed(chats))], prompts["phi3"], max_tokens=2_048, held_out_percent=20)
    assert one.sha256 == other.sha256
    assert {chat.key for chat in one.held_out} == {chat.key for chat in other.held_out}
    assert 2 <= len(one.held_out) <= 16
