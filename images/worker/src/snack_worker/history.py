"""Selection of the messages for the prompt: the persona and the latest messages that fit into the model's context."""

from bisect import bisect_left
from collections.abc import Sequence
from itertools import groupby

from .chat_input import ChatInput, Message
from .errors import WorkerError
from .tokenizer import CountTokens


def fit_conversation(
    chat: ChatInput, system: Message, *, max_tokens: int, context_tokens: int, count_tokens: CountTokens
) -> list[Message]:
    """
    Returns `system` and the chat's messages. Consecutive messages of the same role are merged, because chat templates
    need alternating roles. When the prompt and a reply of `max_tokens` do not fit into `context_tokens`, the oldest
    messages are dropped. If the conversation starts with an assistant message, that message is dropped first, then
    pairs of a user message and its reply. The last message is never dropped. Raises WorkerError too_long when even
    `system` and the last message do not fit.
    """
    messages = chat.messages

    def since(start: int) -> list[Message]:
        return [system, *_merged(messages[start:])]

    def fits(start: int) -> bool:
        return count_tokens(since(start)) + max_tokens <= context_tokens

    if fits(0):
        return since(0)
    starts = [index for index in range(1, len(messages)) if messages[index]["role"] == "user"]
    first_fit = bisect_left(starts, True, key=fits)
    if first_fit == len(starts):
        last = len(messages) - 1
        overhead = count_tokens([system, {"role": "user", "content": ""}])
        available = max(0, context_tokens - max_tokens - overhead)
        needed = count_tokens(since(last)) - overhead
        raise WorkerError(
            "too_long", f"at most {available} tokens are allowed, got {needed}.", field=chat.field_of(last)
        )
    return since(starts[first_fit])


def _merged(messages: Sequence[Message]) -> list[Message]:
    return [
        {"role": role, "content": "\n".join(message["content"] for message in group)}
        for role, group in groupby(messages, key=lambda message: message["role"])
    ]
