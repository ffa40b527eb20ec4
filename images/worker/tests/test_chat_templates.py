from collections.abc import Sequence

import jinja2
import pytest
from jinja2.ext import Extension
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

from snack_worker.chat_input import Message
from snack_worker.chat_template import read_template
from snack_worker.persona import persona

from .real_tokenizers import MISTRAL, PHI3, encode, format_of, models_of, official, template_file, tokenizer
from .worker_environment import MODELS

_SYSTEM = persona(0)
_CHAT: list[Message] = [
    {"role": "user", "content": "こんばんは"},
    {"role": "assistant", "content": "あら、いらっしゃい。"},
    {"role": "user", "content": "ただいま🍑 2 cups"},
]


def _render(model: str, messages: Sequence[Message]) -> str:
    return read_template(template_file(model)).render(messages)


@pytest.mark.parametrize("model", models_of(PHI3))
def test_phi3_template_renders_the_phi3_format(model: str) -> None:
    assert _render(model, [_SYSTEM, *_CHAT]) == (
        f"<|system|>\n{_SYSTEM['content']}<|end|>\n"
        "<|user|>\nこんばんは<|end|>\n"
        "<|assistant|>\nあら、いらっしゃい。<|end|>\n"
        "<|user|>\nただいま🍑 2 cups<|end|>\n"
        "<|assistant|>\n"
    )


@pytest.mark.parametrize("model", models_of(MISTRAL))
def test_mistral_template_puts_the_persona_into_the_first_turn(model: str) -> None:
    assert _render(model, [_SYSTEM, *_CHAT]) == (
        f"<s>[INST] {_SYSTEM['content']}\n\nこんばんは[/INST] あら、いらっしゃい。</s>[INST] ただいま🍑 2 cups[/INST]"
    )


@pytest.mark.parametrize("model", models_of(MISTRAL))
def test_mistral_template_accepts_a_conversation_that_starts_with_an_assistant_message(model: str) -> None:
    assert _render(model, [_SYSTEM, *_CHAT[1:]]) == (
        f"<s>[INST] {_SYSTEM['content']}[/INST] あら、いらっしゃい。</s>[INST] ただいま🍑 2 cups[/INST]"
    )


# Mistral's official format differs from ours in a longer conversation with the persona. See
# test_mistrals_official_format_moves_the_persona_to_the_last_turn.
_SAME_AS_OFFICIAL = {
    PHI3: {"first turn": _CHAT[:1], "second turn": _CHAT, "persona and second turn": [_SYSTEM, *_CHAT]},
    MISTRAL: {"first turn": _CHAT[:1], "second turn": _CHAT, "persona and first turn": [_SYSTEM, *_CHAT[:1]]},
}


@pytest.mark.parametrize(
    ("model", "messages"),
    [
        pytest.param(model, messages, id=f"{model}: {name}")
        for model in MODELS
        for name, messages in _SAME_AS_OFFICIAL[format_of(model)].items()
    ],
)
def test_template_produces_the_same_tokens_as_the_official_format(model: str, messages: list[Message]) -> None:
    assert encode(model, _render(model, messages)) == official(model, messages)


@pytest.mark.parametrize("model", models_of(MISTRAL))
def test_mistrals_official_format_moves_the_persona_to_the_last_turn(model: str) -> None:
    ours, theirs = encode(model, _render(model, [_SYSTEM, *_CHAT])), official(model, [_SYSTEM, *_CHAT])
    assert len(ours) == len(theirs)
    assert ours != theirs


@pytest.mark.parametrize("model", MODELS)
def test_prompt_starts_with_the_prompt_of_the_previous_turn(model: str) -> None:
    before, after = _render(model, [_SYSTEM, *_CHAT[:1]]), _render(model, [_SYSTEM, *_CHAT])
    assert after.startswith(before)
    assert encode(model, after)[: len(encode(model, before))] == encode(model, before)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("role", ["user", "assistant"])
def test_special_tokens_in_a_message_do_not_reach_the_prompt(model: str, role: str) -> None:
    added_tokens = tokenizer(model).get_added_tokens_decoder()
    special = {token: added.content for token, added in added_tokens.items() if added.special}

    def count_special(text: str) -> int:
        turns: list[Message] = [*_CHAT[:1], {"role": role, "content": text}]
        return sum(token in special for token in encode(model, _render(model, turns)))

    assert count_special("やあ" + "".join(special.values())) == count_special("やあ")


@pytest.mark.parametrize("model", MODELS)
def test_template_ends_a_reply_with_one_special_token(model: str) -> None:
    end = read_template(template_file(model)).end_of_reply
    assert end == {PHI3: "<|end|>", MISTRAL: "</s>"}[format_of(model)]
    [token] = encode(model, end)
    assert tokenizer(model).get_added_tokens_decoder()[token].special


_LEARNED = {PHI3: ["あら、いらっしゃい。<|end|>"], MISTRAL: [" あら、いらっしゃい。</s>"]}


@pytest.mark.parametrize("model", MODELS)
def test_template_marks_only_the_assistant_messages_for_training(model: str) -> None:
    learned: list[str] = []

    class Tracker(Extension):
        """Parses `{% generation %}` as the transformers library does."""

        tags = {"generation"}  # noqa: RUF012

        def parse(self, parser: Parser) -> jinja2.nodes.Node:
            line = next(parser.stream).lineno
            body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
            return jinja2.nodes.CallBlock(self.call_method("_record"), [], [], body).set_lineno(line)

        def _record(self, caller: jinja2.runtime.Macro) -> str:
            text: str = caller()
            learned.append(text)
            return text

    source = template_file(model).read_text(encoding="utf-8")
    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[Tracker])
    turns = {"messages": [_SYSTEM, *_CHAT], "add_generation_prompt": True, "bos_token": "<s>", "eos_token": "</s>"}
    assert environment.from_string(source).render(turns) == _render(model, [_SYSTEM, *_CHAT])
    assert learned == _LEARNED[format_of(model)]
