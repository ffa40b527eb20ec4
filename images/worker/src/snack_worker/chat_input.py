"""The input of a job in our own shape, which every other shape is turned into, and what its ticket's limits allow."""

from collections.abc import Mapping
from dataclasses import dataclass

from .errors import WorkerError
from .schemas import check, schema
from .tickets import Limits

Message = Mapping[str, str]
"""One turn: `role` and `content`."""


@dataclass(frozen=True)
class ChatInput:
    """A job's input, known to be well formed."""

    messages: list[Message]
    """At least one, the last from the user."""
    params: Mapping[str, float]
    stream: bool
    ticket: str | None
    request_id: str | None
    is_text: bool = False
    """Whether it was sent as `text`, which an error then names."""

    def field_of(self, index: int) -> str:
        """Path of the text of one of `messages`, for an error."""
        return "input.text" if self.is_text else f"input.messages[{index}].content"


def parse_input(value: object) -> ChatInput:
    """Raises WorkerError invalid_input or too_long."""
    check("worker-input", value, "input")
    if not isinstance(value, dict) or ("text" in value) == ("messages" in value):
        raise WorkerError("invalid_input", "exactly one of text and messages is allowed.", field="input")

    messages: list[Message] = value.get("messages") or [{"role": "user", "content": value["text"]}]
    if messages[-1]["role"] != "user":
        raise WorkerError("invalid_input", "the last message must be from the user.", field="input.messages")
    return ChatInput(
        messages=messages,
        params=value.get("params", {}),
        stream=value.get("stream", True),
        ticket=value.get("ticket"),
        request_id=value.get("request_id"),
        is_text="text" in value,
    )


def check_limits(chat: ChatInput, limits: Limits) -> None:
    """Raises WorkerError too_long when a conversation is more than its ticket allows."""
    if len(chat.messages) > limits.max_messages:
        raise WorkerError("too_long", f"at most {limits.max_messages} messages are allowed.", field="input.messages")
    for index, message in enumerate(chat.messages):
        if len(message["content"]) > limits.max_input_chars:
            raise WorkerError(
                "too_long",
                f"at most {limits.max_input_chars} characters are allowed.",
                field=chat.field_of(index),
            )


def reply_tokens(chat: ChatInput, limits: Limits) -> int:
    """Tokens the reply may have: what was asked for, at most what the ticket allows, at most the contract's bound."""
    bound: int = schema("worker-input")["properties"]["params"]["properties"]["max_tokens"]["maximum"]
    return min(int(chat.params.get("max_tokens", bound)), limits.max_tokens, bound)
