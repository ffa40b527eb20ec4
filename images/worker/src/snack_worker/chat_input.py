"""
A job's input in our own JSON form (not OpenAI's), and the checks of a ticket's limits. OpenAI requests are translated
to this form first.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from .errors import WorkerError
from .schemas import check, schema
from .tickets import Limits

Message = Mapping[str, str]
"""A message with `role` and `content`."""


@dataclass(frozen=True)
class ChatInput:
    """The validated input of a job."""

    messages: list[Message]
    """At least one message. The user wrote the final message."""
    params: Mapping[str, float]
    stream: bool
    request_id: str | None
    is_text: bool = False
    """Whether the client sent `text`, not `messages`. In this case, errors refer to `input.text`."""

    def field_of(self, index: int) -> str:
        """Returns the field path of the message at `index`, for errors."""
        return "input.text" if self.is_text else f"input.messages[{index}].content"


def parse_input(value: object) -> ChatInput:
    """Validates a job's input. Raises WorkerError invalid_input or too_long."""
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
        request_id=value.get("request_id"),
        is_text="text" in value,
    )


def check_limits(chat: ChatInput, limits: Limits) -> None:
    """Raises WorkerError too_long when a conversation exceeds its ticket's limits."""
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
    """Returns the maximum tokens of the reply: the lowest of the client's, the ticket's and the contract's limits."""
    bound: int = schema("worker-input")["properties"]["params"]["properties"]["max_tokens"]["maximum"]
    return min(int(chat.params.get("max_tokens", bound)), limits.max_tokens, bound)
