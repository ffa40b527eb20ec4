"""What the model is shown of a conversation: the persona, and as much of the latest turns as its context holds."""

from bisect import bisect_left
from collections.abc import Sequence
from itertools import groupby

from .chat_input import ChatInput, Message
from .errors import WorkerError
from .tokenizer import Count


def conversation(
    chat: ChatInput, system: Message, *, max_tokens: int, context_tokens: int, count: Count
) -> list[Message]:
    """
    `system`, then the messages with consecutive turns of one role merged (chat templates want roles to alternate).
    Where that and a reply of `max_tokens` would not fit the context, the oldest turns are left out, each from the user
    with the reply to it, so that a user's turn comes first; a greeting before all of them goes first. The last message,
    from the user, always stays. Raises WorkerError too_long when not even that fits.
    """
    messages = chat.messages

    def since(start: int) -> list[Message]:
        return [system, *_merged(messages[start:])]

    def fits(start: int) -> bool:
        return count(since(start)) + max_tokens <= context_tokens

    if fits(0):
        return since(0)
    starts = [index for index in range(1, len(messages)) if messages[index]["role"] == "user"]
    at = bisect_left(starts, True, key=fits)
    if at == len(starts):
        last = len(messages) - 1
        bare = count([system, {"role": "user", "content": ""}])
        room, taken = max(0, context_tokens - max_tokens - bare), count(since(last)) - bare
        raise WorkerError(
            "too_long", f"at most {room} tokens are allowed, and this has {taken}.", field=chat.field_of(last)
        )
    return since(starts[at])


def _merged(messages: Sequence[Message]) -> list[Message]:
    return [
        {"role": role, "content": "\n".join(message["content"] for message in group)}
        for role, group in groupby(messages, key=lambda message: message["role"])
    ]
