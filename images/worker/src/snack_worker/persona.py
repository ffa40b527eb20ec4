"""
What the model is shown: the persona first, then the conversation. The persona is the same for everyone and always at
the front, so the engine's prefix cache holds it for all customers.
"""

from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from itertools import groupby

from .chat_input import Message

# Both images serve 4,096 tokens (images/models.ts). Japanese takes 1.08–1.12 tokens a character with the tokenizers
# of Phi-3 and Mistral, and each turn a few more for its marks.
CONTEXT_TOKENS = 4_096
TOKENS_PER_CHARACTER = 1.15
TOKENS_PER_TURN = 8


@cache
def persona() -> str:
    """The system prompt."""
    return files(__package__).joinpath("persona.txt").read_text(encoding="utf-8").strip()


def conversation(messages: Sequence[Message], max_tokens: int) -> list[Message]:
    """
    Persona, then `messages` with consecutive turns of one role merged (chat templates want roles to alternate), without
    the oldest turns where the whole and a reply of `max_tokens` would not fit the context. The last turn always stays.
    """
    turns = [
        {"role": role, "content": "\n".join(message["content"] for message in group)}
        for role, group in groupby(messages, key=lambda message: message["role"])
    ]
    system: Message = {"role": "system", "content": persona()}
    room = CONTEXT_TOKENS - max_tokens - _tokens(system)
    kept = len(turns) - 1
    room -= _tokens(turns[kept])
    while kept > 0 and (room := room - _tokens(turns[kept - 1])) >= 0:
        kept -= 1
    return [system, *turns[kept:]]


def _tokens(turn: Message) -> float:
    return len(turn["content"]) * TOKENS_PER_CHARACTER + TOKENS_PER_TURN
