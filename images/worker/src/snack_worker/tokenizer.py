"""
Token counts and stop marks of prompts. A prompt is rendered with the engine's chat template and counted with the
model's tokenizer. When there is no tokenizer (as in `npm start` with a scripted engine), the counts are estimates.
"""

import logging
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from .chat_input import Message
from .settings import SettingsError

log = logging.getLogger(__name__)

# The tokenizers of Phi-3 and Mistral need 1.08 to 1.12 tokens per Japanese character, and a few for the markers around
# each message.
TOKENS_PER_CHARACTER = 1.15
TOKENS_PER_TURN = 8

CountTokens = Callable[[Sequence[Message]], int]
"""Counts the tokens of the prompt that the engine makes from a conversation."""


@dataclass(frozen=True)
class PromptFormat:
    """A model's prompts."""

    count_tokens: CountTokens
    stop: Mapping[str, object]
    """
    Fields of a request that make the engine stop at the end of the reply, even when the weights do not name the end
    token. Without these fields, a retrained model would write until its limit if its `generation_config.json` lacks
    that token.
    """


def read_prompt_format(tokenizer_file: Path, chat_template_file: Path) -> PromptFormat:
    """
    Returns the format of the model with this `tokenizer.json` and chat template. When the tokenizer is missing, logs a
    warning and returns a format that estimates token counts. Raises SettingsError when a file cannot be read.
    """
    if not tokenizer_file.exists():
        log.warning("no tokenizer at %s: prompt lengths are estimated", tokenizer_file)
        return PromptFormat(estimate_tokens, {})

    # These imports are slow, and a worker without a tokenizer does not need them.
    from tokenizers import Tokenizer

    from .chat_template import read_template

    try:
        tokenizer = Tokenizer.from_file(str(tokenizer_file))
    except Exception as error:  # The library raises no more specific type.
        raise SettingsError(f"TOKENIZER_FILE: {tokenizer_file} is not a tokenizer") from error
    try:
        template = read_template(chat_template_file)
    except (OSError, ValueError) as error:
        raise SettingsError(f"CHAT_TEMPLATE_FILE: {chat_template_file} is not a chat template ({error})") from error

    def count_tokens(messages: Sequence[Message]) -> int:
        return len(tokenizer.encode(template.render(messages), add_special_tokens=False).ids)

    end = template.end_of_reply
    return PromptFormat(count_tokens, _stop_fields(end, tokenizer.token_to_id(end)) if end else {})


def _stop_fields(end: str, end_token: int | None) -> dict[str, object]:
    # vLLM searches for `stop` in the text. A special token is not part of the text, so the request also contains the id
    # of a stop mark that is a special token. By default, vLLM removes the stop text, and therefore delays the final
    # characters of each piece of a reply. `include_stop_str_in_output` prevents this delay.
    token = {} if end_token is None else {"stop_token_ids": [end_token], "include_stop_str_in_output": True}
    return {"stop": [end], **token}


def estimate_tokens(messages: Sequence[Message]) -> int:
    """Estimates the tokens of a Phi-3 or Mistral prompt. The result tends to be too high rather than too low."""
    return math.ceil(sum(len(turn["content"]) * TOKENS_PER_CHARACTER + TOKENS_PER_TURN for turn in messages))
