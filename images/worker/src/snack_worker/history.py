"""Selection of the messages for the prompt: the persona and the latest messages that fit into the model's context."""

from bisect import bisect_left
from collections.abc import Sequence
from functools import lru_cache
from itertools import groupby

from .chat_input import ChatInput, Message
from .errors import WorkerError
from .tokenizer import CountTokens

# Maximum size in bytes of a conversation whose tokens are counted in one step.
SHORT_BYTES = 12_000

# Maximum number of bytes that a chat template writes around a message.
MARK_BYTES = 64


def fit_conversation(
    chat: ChatInput, system: Message, *, max_tokens: int, context_tokens: int, count_tokens: CountTokens
) -> list[Message]:
    """
    Returns `system` and the chat's messages. Consecutive messages of the same role are merged, because chat templates
    need alternating roles. When the prompt and a reply of `max_tokens` do not fit into `context_tokens`, the oldest
    messages are dropped. If the conversation starts with an assistant message, that message is dropped first, then
    pairs of a user message and its reply. The newest message is never dropped. Raises WorkerError too_long when even
    `system` and the newest message do not fit.
    """
    messages = chat.messages

    def since(start: int) -> list[Message]:
        return [system, *_merged(messages[start:])]

    def fits(start: int) -> bool:
        return count_tokens(since(start)) + max_tokens <= context_tokens

    # A token has at least one byte, and a character has at most four bytes. So a short conversation fits without a
    # count.
    size = sum(4 * len(message["content"]) + MARK_BYTES for message in messages)
    persona_tokens = _persona_tokens(system["content"], count_tokens)
    if persona_tokens + size + max_tokens <= context_tokens:
        return since(0)
    if size <= SHORT_BYTES and fits(0):
        return since(0)
    starts = [0, *(index for index in range(1, len(messages)) if messages[index]["role"] == "user")]

    # The count of a whole conversation can take a tenth of a second, and all other jobs would wait. Therefore the
    # messages are counted one by one, newest first, until the context is full. Their sum differs by some tokens from
    # the count of the whole prompt. Only the count of the whole prompt is decisive.
    room = context_tokens - max_tokens - persona_tokens
    oldest = len(messages) - 1
    for index in reversed(range(len(messages))):
        room -= count_tokens([_user(messages[index]["content"])])
        if room < 0:
            break
        oldest = index
    at = bisect_left(starts, oldest)
    if fits(starts[at]):
        while at > 0 and fits(starts[at - 1]):
            at -= 1
        return since(starts[at])
    for start in starts[at + 1 :]:
        if fits(start):
            return since(start)
    raise _too_long(chat, system, max_tokens, context_tokens, count_tokens)


def _too_long(
    chat: ChatInput, system: Message, max_tokens: int, context_tokens: int, count_tokens: CountTokens
) -> WorkerError:
    """
    Returns the error for a newest message that does not fit. The error states the limit in characters, because
    customers do not count tokens.
    """
    last = chat.messages[-1]
    overhead = _persona_tokens(system["content"], count_tokens)
    available = max(0, context_tokens - max_tokens - overhead)
    needed = count_tokens([system, last]) - overhead
    chars = available * len(last["content"]) // needed
    return WorkerError(
        "too_long",
        f"about {chars} characters of this kind are allowed: emoji and rare characters count several times.",
        field=chat.field_of(len(chat.messages) - 1),
    )


@lru_cache(maxsize=8)
def _persona_tokens(persona: str, count_tokens: CountTokens) -> int:
    """
    Returns the tokens of a prompt with an empty message. The result is cached, because the persona is the same for
    hours.
    """
    return count_tokens([{"role": "system", "content": persona}, _user("")])


def _user(content: str) -> Message:
    return {"role": "user", "content": content}


def _merged(messages: Sequence[Message]) -> list[Message]:
    return [
        {"role": role, "content": "\n".join(message["content"] for message in group)}
        for role, group in groupby(messages, key=lambda message: message["role"])
    ]
