"""Chat templates. They are rendered in the same way as in the transformers library and vLLM."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import TemplateError, nodes
from jinja2.ext import Extension
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

from .chat_input import Message

# Variables of Mistral's template. Phi-3's template does not use them.
SPECIAL_TOKENS = {"bos_token": "<s>", "eos_token": "</s>"}

Render = Callable[[Sequence[Message]], str]
"""Renders a conversation to the prompt for the next reply."""


# A text that no template contains.
_REPLY = "reply of the assistant"


class _Generation(Extension):
    """
    Reads `{% generation %}`, which marks the text that the model learns in training. The mark does not change a prompt.
    """

    tags = {"generation"}  # noqa: RUF012

    def parse(self, parser: Parser) -> list[nodes.Node]:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


@dataclass(frozen=True)
class ChatTemplate:
    """A model's chat template."""

    render: Render
    end_of_reply: str
    """Text after each reply of the assistant, at which the model must stop: `<|end|>` or `</s>`."""


def read_template(file: Path) -> ChatTemplate:
    """Reads the template in `file`. Raises OSError, or ValueError when the file is not a template."""
    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[_Generation])
    try:
        template = environment.from_string(file.read_text(encoding="utf-8"))
        turns = [{"role": "user", "content": "a"}, {"role": "assistant", "content": _REPLY}]
        end = template.render(messages=turns, add_generation_prompt=False, **SPECIAL_TOKENS).rpartition(_REPLY)[2]
    except TemplateError as error:
        raise ValueError(str(error)) from error
    return ChatTemplate(
        lambda messages: template.render(messages=messages, add_generation_prompt=True, **SPECIAL_TOKENS), end.strip()
    )
