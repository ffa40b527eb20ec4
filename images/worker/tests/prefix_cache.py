"""
Measures the share of prompt tokens that a prefix cache contains during a Japanese conversation of ten turns, with our
chat templates and with the official prompt formats. The real tokenizers count the tokens. `npm run bench -- worker`
runs this module as a program, which prints one JSON object.

The simulated cache works like the default cache of vLLM V1. It contains a block of 16 tokens only together with all
tokens before the block. The cache starts empty, so a persona cached by other conversations does not count. Only for the
share `oursWithGenerated`, the cache also keeps the tokens that the model generated.
"""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

from snack_worker.chat_input import ChatInput, Message
from snack_worker.chat_template import read_template
from snack_worker.history import fit_conversation
from snack_worker.persona import persona

from .real_tokenizers import encode, format_of, official, template_file
from .worker_environment import MODELS

BLOCK_TOKENS = 16
CONTEXT_TOKENS = 4_096
REPLY_TOKENS = 512

# 21:00 in Tokyo, and 22:55, which is five minutes before the greeting changes.
EVENING_S = 1_764_072_000
BEFORE_CHANGE_S = EVENING_S + 2 * 3_600 - 5 * 60
TURN_S = 60

# Lines of the customer and of the assistant, alternating.
LINES = (Path(__file__).parent / "ten_turns.txt").read_text(encoding="utf-8").splitlines()

Encode = Callable[[Sequence[Message]], list[int]]
"""Returns the tokens of the prompt for a conversation."""


def cached_share(model: str, prompt_of: Encode, *, start_s: float = EVENING_S, keep_generated: bool = False) -> float:
    """
    Returns the share of all prompt tokens that were cached. With `keep_generated`, the cache also keeps reply tokens.
    """
    cached: set[tuple[int, ...]] = set()
    messages: list[Message] = []
    prompt_tokens = cached_tokens = 0
    for turn, (question, reply) in enumerate(zip(LINES[::2], LINES[1::2], strict=True)):
        messages.append({"role": "user", "content": question})
        fitted = fit_conversation(
            ChatInput(messages=list(messages), params={}, stream=True, request_id=None),
            persona(start_s + turn * TURN_S),
            max_tokens=REPLY_TOKENS,
            context_tokens=CONTEXT_TOKENS,
            count_tokens=lambda messages: len(prompt_of(messages)),
        )
        prompt = prompt_of(fitted)
        blocks = [tuple(prompt[:end]) for end in range(BLOCK_TOKENS, len(prompt) + 1, BLOCK_TOKENS)]
        found = next((index for index, block in enumerate(blocks) if block not in cached), len(blocks))
        prompt_tokens += len(prompt)
        cached_tokens += found * BLOCK_TOKENS
        kept = prompt + encode(model, reply) if keep_generated else prompt
        cached.update(tuple(kept[:end]) for end in range(BLOCK_TOKENS, len(kept) + 1, BLOCK_TOKENS))
        messages.append({"role": "assistant", "content": reply})
    return round(cached_tokens / prompt_tokens, 4)


def measure(model: str) -> dict[str, float]:
    """Returns all shares of one model."""
    render = read_template(template_file(model)).render

    def our_prompt(messages: Sequence[Message]) -> list[int]:
        return encode(model, render(messages))

    def official_prompt(messages: Sequence[Message]) -> list[int]:
        return official(model, messages)

    return {
        "ours": cached_share(model, our_prompt),
        "official": cached_share(model, official_prompt),
        "oursAcrossTheHour": cached_share(model, our_prompt, start_s=BEFORE_CHANGE_S),
        "oursWithGenerated": cached_share(model, our_prompt, keep_generated=True),
    }


if __name__ == "__main__":
    shares = {model: {**measure(model), "tokenizer": format_of(model).tokenizer_source} for model in MODELS}
    print(json.dumps(shares))
