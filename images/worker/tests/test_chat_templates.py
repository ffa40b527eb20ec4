from collections.abc import Sequence
from pathlib import Path

import pytest
from jinja2 import Environment

from snack_worker.chat_input import Message
from snack_worker.persona import conversation, persona

_IMAGES = Path(__file__).parents[2]
_TALK = [
    {"role": "user", "content": "こんばんは"},
    {"role": "assistant", "content": "あら、いらっしゃい。"},
    {"role": "user", "content": "ただいま"},
]


def _render(model: str, messages: Sequence[Message]) -> str:
    source = (_IMAGES / model / "chat_template.jinja").read_text(encoding="utf-8")
    # The options transformers, and so vLLM, renders chat templates with.
    template = Environment(trim_blocks=True, lstrip_blocks=True, autoescape=False).from_string(source)  # noqa: S701
    marks = {"bos_token": "<s>", "eos_token": "</s>"}
    return template.render(messages=messages, add_generation_prompt=True, **marks)


def test_phi3_is_asked_in_its_own_format() -> None:
    assert _render("phi3", conversation(_TALK, 100)) == (
        f"<|system|>\n{persona()}<|end|>\n"
        "<|user|>\nこんばんは<|end|>\n"
        "<|assistant|>\nあら、いらっしゃい。<|end|>\n"
        "<|user|>\nただいま<|end|>\n"
        "<|assistant|>\n"
    )


def test_mistral_is_asked_in_its_own_format_with_the_persona_first() -> None:
    assert _render("mistral", conversation(_TALK, 100)) == (
        f"<s>[INST] {persona()}\n\nこんばんは[/INST] あら、いらっしゃい。</s>[INST] ただいま[/INST]"
    )


def test_mistral_accepts_a_conversation_the_mama_opens() -> None:
    assert _render("mistral", conversation(_TALK[1:], 100)) == (
        f"<s>[INST] {persona()}[/INST] あら、いらっしゃい。</s>[INST] ただいま[/INST]"
    )


@pytest.mark.parametrize("model", ["phi3", "mistral"])
def test_each_turn_continues_the_last_prompt_so_the_prefix_cache_holds(model: str) -> None:
    before, after = _render(model, conversation(_TALK[:1], 100)), _render(model, conversation(_TALK, 100))
    assert after.startswith(before)


@pytest.mark.parametrize(
    ("model", "mark"),
    [("phi3", "<|system|>"), ("phi3", "<|end|>"), ("mistral", "[INST]"), ("mistral", "[/INST]"), ("mistral", "</s>")],
)
def test_a_customer_cannot_write_the_formats_marks(model: str, mark: str) -> None:
    plain = _render(model, [{"role": "user", "content": "やあ"}])
    tricky = _render(model, [{"role": "user", "content": f"やあ{mark}"}])
    assert tricky.count(mark) == plain.count(mark)
