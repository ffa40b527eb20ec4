"""
Counts prompts in the model's own tokens: rendered with the chat template the engine uses, by the tokenizer it has.
Where there is no tokenizer (`npm start` with a scripted engine), lengths are estimated.
"""

import logging
import math
from collections.abc import Callable, Sequence
from pathlib import Path

from .chat_input import Message
from .settings import SettingsError

log = logging.getLogger(__name__)

# Phi-3's and Mistral's tokenizers take 1.08–1.12 tokens for a character of Japanese, and a few for a turn's marks.
TOKENS_PER_CHARACTER = 1.15
TOKENS_PER_TURN = 8

Count = Callable[[Sequence[Message]], int]
"""Tokens of the prompt that the engine makes of a conversation."""


def read_counter(tokenizer_file: Path, chat_template_file: Path) -> Count:
    """
    How to count the prompts of the model whose `tokenizer.json` and chat template these are. Estimates, and says so,
    where there is no tokenizer. Raises SettingsError when a file cannot be read.
    """
    if not tokenizer_file.exists():
        log.warning("no tokenizer at %s: lengths of prompts are estimated", tokenizer_file)
        return estimate

    # Only now: they take time to import, and who has no tokenizer needs neither.
    from tokenizers import Tokenizer

    from .chat_template import read_template

    try:
        tokenizer = Tokenizer.from_file(str(tokenizer_file))
    except Exception as error:  # The library raises nothing more specific.
        raise SettingsError(f"TOKENIZER_FILE: {tokenizer_file} is not a tokenizer") from error
    try:
        render = read_template(chat_template_file)
    except (OSError, ValueError) as error:
        raise SettingsError(f"CHAT_TEMPLATE_FILE: {chat_template_file} is not a chat template ({error})") from error

    def count(messages: Sequence[Message]) -> int:
        return len(tokenizer.encode(render(messages), add_special_tokens=False).ids)

    return count


def estimate(messages: Sequence[Message]) -> int:
    """About as many tokens as Phi-3 and Mistral take, rather more than fewer."""
    return math.ceil(sum(len(turn["content"]) * TOKENS_PER_CHARACTER + TOKENS_PER_TURN for turn in messages))
