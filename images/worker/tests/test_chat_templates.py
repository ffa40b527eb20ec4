from collections.abc import Sequence

import jinja2
import pytest
from jinja2.ext import Extension
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

from snack_worker.chat_input import Message
from snack_worker.chat_template import read_template
from snack_worker.persona import persona

from .real_tokenizers import IMAGES, TOKENIZERS, encode, official

_MODELS = ["phi3", "mistral"]
_SYSTEM = persona(0)
_TALK: list[Message] = [
    {"role": "user", "content": "こんばんは"},
    {"role": "assistant", "content": "あら、いらっしゃい。"},
    {"role": "user", "content": "ただいま🍑 2 cups"},
]


def _render(model: str, messages: Sequence[Message]) -> str:
    return read_template(IMAGES / model / "chat_template.jinja")(messages)


def test_phi3_is_asked_in_its_own_format() -> None:
    assert _render("phi3", [_SYSTEM, *_TALK]) == (
        f"<|system|>\n{_SYSTEM['content']}<|end|>\n"
        "<|user|>\nこんばんは<|end|>\n"
        "<|assistant|>\nあら、いらっしゃい。<|end|>\n"
        "<|user|>\nただいま🍑 2 cups<|end|>\n"
        "<|assistant|>\n"
    )


def test_mistral_is_asked_in_its_own_format_with_the_persona_first() -> None:
    assert _render("mistral", [_SYSTEM, *_TALK]) == (
        f"<s>[INST] {_SYSTEM['content']}\n\nこんばんは[/INST] あら、いらっしゃい。</s>[INST] ただいま🍑 2 cups[/INST]"
    )


def test_mistral_accepts_a_conversation_the_mama_opens() -> None:
    assert _render("mistral", [_SYSTEM, *_TALK[1:]]) == (
        f"<s>[INST] {_SYSTEM['content']}[/INST] あら、いらっしゃい。</s>[INST] ただいま🍑 2 cups[/INST]"
    )


@pytest.mark.parametrize(
    ("model", "messages"),
    [
        ("phi3", _TALK[:1]),
        ("phi3", _TALK),
        ("phi3", [_SYSTEM, *_TALK]),
        ("mistral", _TALK[:1]),
        ("mistral", _TALK),
        # With the persona, Mistral's own format agrees as long as the first turn is also the last one.
        ("mistral", [_SYSTEM, *_TALK[:1]]),
    ],
)
def test_the_tokens_are_those_of_the_official_format(model: str, messages: list[Message]) -> None:
    assert encode(model, _render(model, messages)) == official(model, messages)


def test_mistrals_official_format_moves_the_persona_and_ours_does_not() -> None:
    ours, theirs = encode("mistral", _render("mistral", [_SYSTEM, *_TALK])), official("mistral", [_SYSTEM, *_TALK])
    assert len(ours) == len(theirs)
    assert ours != theirs


@pytest.mark.parametrize("model", _MODELS)
def test_each_turn_continues_the_last_prompt_so_the_prefix_cache_holds(model: str) -> None:
    before, after = _render(model, [_SYSTEM, *_TALK[:1]]), _render(model, [_SYSTEM, *_TALK])
    assert after.startswith(before)
    assert encode(model, after)[: len(encode(model, before))] == encode(model, before)


@pytest.mark.parametrize("model", _MODELS)
@pytest.mark.parametrize("role", ["user", "assistant"])
def test_nobody_can_write_a_mark_of_the_format(model: str, role: str) -> None:
    tokenizer = TOKENIZERS[model]()
    marks = {token: added.content for token, added in tokenizer.get_added_tokens_decoder().items() if added.special}

    def count_marks(text: str) -> int:
        turns: list[Message] = [*_TALK[:1], {"role": role, "content": text}]
        return sum(token in marks for token in encode(model, _render(model, turns)))

    assert count_marks("やあ" + "".join(marks.values())) == count_marks("やあ")


@pytest.mark.parametrize(
    ("model", "learnt"), [("phi3", ["あら、いらっしゃい。<|end|>"]), ("mistral", [" あら、いらっしゃい。</s>"])]
)
def test_training_learns_what_the_mama_says_and_nothing_else(model: str, learnt: list[str]) -> None:
    seen: list[str] = []

    class Tracker(Extension):
        """`{% generation %}` as transformers parses it."""

        tags = {"generation"}  # noqa: RUF012

        def parse(self, parser: Parser) -> jinja2.nodes.Node:
            line = next(parser.stream).lineno
            body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
            return jinja2.nodes.CallBlock(self.call_method("_keep"), [], [], body).set_lineno(line)

        def _keep(self, caller: jinja2.runtime.Macro) -> str:
            text: str = caller()
            seen.append(text)
            return text

    source = (IMAGES / model / "chat_template.jinja").read_text(encoding="utf-8")
    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[Tracker])
    turns = {"messages": [_SYSTEM, *_TALK], "add_generation_prompt": True, "bos_token": "<s>", "eos_token": "</s>"}
    assert environment.from_string(source).render(turns) == _render(model, [_SYSTEM, *_TALK])
    assert seen == learnt
