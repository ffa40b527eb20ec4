"""
Share of prompt tokens that the engine's prefix cache already has, over a chat of ten turns in Japanese: with our chat
templates and with the models' official formats, counted with their real tokenizers. As a program (`npm run bench --
worker` runs it) it prints one JSON object.

The cache works as vLLM's does (V1, on by default): blocks of 16 tokens, found again when everything before them is the
same too. A conversation starts with an empty cache here; a persona that another customer's conversation has left in it
is not counted, nor, in `ours` and `official`, what the model itself generated.
"""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

from snack_worker.chat_input import ChatInput, Message
from snack_worker.chat_template import read_template
from snack_worker.history import conversation
from snack_worker.persona import persona

from .real_tokenizers import IMAGES, encode, official

BLOCK_TOKENS = 16
CONTEXT_TOKENS = 4_096
REPLY_TOKENS = 512

# 21:00 in Tokyo, and five minutes before another greeting.
EVENING_S = 1_764_072_000
CLOSING_S = EVENING_S + 2 * 3_600 - 5 * 60
TURN_S = 60

# The customer and the mama, in turn.
LINES = (Path(__file__).parent / "ten_turns.txt").read_text(encoding="utf-8").splitlines()

Encode = Callable[[Sequence[Message]], list[int]]


def share(model: str, tokens: Encode, *, start_s: float = EVENING_S, generated: bool = False) -> float:
    """Share of all prompts' tokens that is in the cache. `generated` also keeps what the model has written there."""
    cached: set[tuple[int, ...]] = set()
    talk: list[Message] = []
    prompt_tokens = reused_tokens = 0
    for turn, (says, answers) in enumerate(zip(LINES[::2], LINES[1::2], strict=True)):
        talk.append({"role": "user", "content": says})
        shown = conversation(
            ChatInput(messages=list(talk), params={}, stream=True, ticket=None, request_id=None),
            persona(start_s + turn * TURN_S),
            max_tokens=REPLY_TOKENS,
            context_tokens=CONTEXT_TOKENS,
            count=lambda messages: len(tokens(messages)),
        )
        prompt = tokens(shown)
        blocks = [tuple(prompt[:end]) for end in range(BLOCK_TOKENS, len(prompt) + 1, BLOCK_TOKENS)]
        known = next((index for index, block in enumerate(blocks) if block not in cached), len(blocks))
        prompt_tokens += len(prompt)
        reused_tokens += known * BLOCK_TOKENS
        kept = prompt + encode(model, answers) if generated else prompt
        cached.update(tuple(kept[:end]) for end in range(BLOCK_TOKENS, len(kept) + 1, BLOCK_TOKENS))
        talk.append({"role": "assistant", "content": answers})
    return round(reused_tokens / prompt_tokens, 4)


# What counts the tokens.
TOKENIZERS = {
    "phi3": "the Llama-2 vocabulary with Phi-3's added tokens",
    "mistral": "Mistral's own v3 tokenizer",
}


def measure(model: str) -> dict[str, float]:
    """All shares of one model."""
    render = read_template(IMAGES / model / "chat_template.jinja")

    def ours(messages: Sequence[Message]) -> list[int]:
        return encode(model, render(messages))

    def theirs(messages: Sequence[Message]) -> list[int]:
        return official(model, messages)

    return {
        "ours": share(model, ours),
        "official": share(model, theirs),
        "oursAcrossTheHour": share(model, ours, start_s=CLOSING_S),
        "oursWithGenerated": share(model, ours, generated=True),
    }


if __name__ == "__main__":
    print(json.dumps({model: {**measure(model), "tokenizer": name} for model, name in TOKENIZERS.items()}))
