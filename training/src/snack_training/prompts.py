"""
Renders the prompt that the worker sends, and the text that the model learns. Both use the chat template of the image,
so that training and serving have the same tokens.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import nodes
from jinja2.ext import Extension
from jinja2.parser import Parser
from jinja2.runtime import Macro
from jinja2.sandbox import ImmutableSandboxedEnvironment
from snack_worker.chat_input import Message
from snack_worker.chat_template import SPECIAL_TOKENS, read_template
from tokenizers import Tokenizer

from .errors import TrainingError


class _Learned(Extension):
    """Records the position of each `{% generation %}` block in the output, as the transformers library does."""

    tags = {"generation"}  # noqa: RUF012

    def parse(self, parser: Parser) -> nodes.Node:
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return nodes.CallBlock(self.call_method("_record"), [], [], body).set_lineno(line)

    def _record(self, caller: Macro) -> str:
        text: str = caller()
        blocks: list[str] = self.environment.rendered_blocks  # type: ignore[attr-defined]
        start = sum(len(block) for block in blocks)
        self.environment.spans.append((start, start + len(text)))  # type: ignore[attr-defined]
        return text


@dataclass(frozen=True)
class Rendered:
    """A conversation in the model's format."""

    text: str
    spans: list[tuple[int, int]]
    """Start and end of each text that the model learns, in characters."""


def render(template_file: Path, messages: Sequence[Message]) -> Rendered:
    """Renders a whole conversation for training."""
    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[_Learned])
    blocks: list[str] = []
    spans: list[tuple[int, int]] = []
    environment.rendered_blocks = blocks  # type: ignore[attr-defined]
    environment.spans = spans  # type: ignore[attr-defined]
    template = environment.from_string(template_file.read_text(encoding="utf-8"))
    for block in template.generate(messages=messages, add_generation_prompt=False, **SPECIAL_TOKENS):
        blocks.append(block)
    return Rendered("".join(blocks), spans)


@dataclass(frozen=True)
class Tokenized:
    """The tokens of a training conversation."""

    ids: list[int]
    mask: list[int]
    """1 for each token that the model learns, otherwise 0."""


class Prompts:
    """Prompts of one model: its chat template and its tokenizer."""

    def __init__(self, template_file: Path, tokenizer_file: Path) -> None:
        self._template_file = template_file
        try:
            self.tokenizer = Tokenizer.from_file(str(tokenizer_file))
        except Exception as error:  # The library raises no more specific type.
            raise TrainingError(f"{tokenizer_file} is not a tokenizer: {error}") from error
        template = read_template(template_file)
        self._render = template.render
        self.end_of_turn = template.end_of_reply
        """Text after which the model must stop."""
        end = self.tokenizer.token_to_id(self.end_of_turn)
        if end is None:
            raise TrainingError(
                f"{tokenizer_file} has no token {self.end_of_turn}, which ends a reply in the chat template"
            )
        self.end_token: int = end

    def prompt_ids(self, messages: Sequence[Message]) -> list[int]:
        """Returns the tokens of the prompt for the next reply."""
        return list(self.tokenizer.encode(self._render(messages), add_special_tokens=False).ids)

    def training_tokens(self, messages: Sequence[Message]) -> Tokenized:
        """
        Returns the tokens and the mask of a whole conversation. Raises TrainingError when the mask of a reply does not
        end with the end-of-turn token. Without this token, the model would not learn to stop.
        """
        rendered = render(self._template_file, messages)
        encoding = self.tokenizer.encode(rendered.text, add_special_tokens=False)
        mask = [0] * len(encoding.ids)
        for start, end in rendered.spans:
            first, last = _token_at(encoding.offsets, start), _token_at(encoding.offsets, end - 1)
            if first is None or last is None or encoding.ids[last] != self.end_token:
                raise TrainingError(
                    f"the mask of a reply does not end with {self.end_of_turn}: check the chat template"
                )
            mask[first : last + 1] = [1] * (last + 1 - first)
        return Tokenized(list(encoding.ids), mask)


def _token_at(offsets: Sequence[tuple[int, int]], character: int) -> int | None:
    return next((index for index, (start, end) in enumerate(offsets) if start <= character < end), None)
