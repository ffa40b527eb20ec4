"""
The input of a job, checked against the JSON Schema that is generated from the contract. An error names the field and
what is allowed, and never repeats what was sent.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from jsonschema import Draft202012Validator, ValidationError
from jsonschema.exceptions import best_match

from .errors import WorkerError
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


def parse_input(value: object) -> ChatInput:
    """Raises WorkerError invalid_input or too_long."""
    error = best_match(_validator().iter_errors(value))
    if error is not None:
        raise _explain(error)
    if not isinstance(value, dict) or ("text" in value) == ("messages" in value):
        raise WorkerError("invalid_input", "input: exactly one of text and messages is allowed.")

    messages: list[Message] = value.get("messages") or [{"role": "user", "content": value["text"]}]
    if messages[-1]["role"] != "user":
        raise WorkerError("invalid_input", "input.messages: the last message must be from the user.")
    return ChatInput(
        messages=messages,
        params=value.get("params", {}),
        stream=value.get("stream", True),
        ticket=value.get("ticket"),
        request_id=value.get("request_id"),
    )


def check_limits(chat: ChatInput, limits: Limits) -> None:
    """Raises WorkerError too_long when a conversation is more than its ticket allows."""
    if len(chat.messages) > limits.max_messages:
        raise WorkerError("too_long", f"input.messages: at most {limits.max_messages} messages are allowed.")
    for index, message in enumerate(chat.messages):
        if len(message["content"]) > limits.max_input_chars:
            raise WorkerError(
                "too_long", f"input.messages[{index}].content: at most {limits.max_input_chars} characters are allowed."
            )


def reply_tokens(chat: ChatInput, limits: Limits) -> int:
    """Tokens the reply may have: what was asked for, at most what the ticket allows, at most the contract's bound."""
    bound: int = _schema()["properties"]["params"]["properties"]["max_tokens"]["maximum"]
    return min(int(chat.params.get("max_tokens", bound)), limits.max_tokens, bound)


@cache
def _schema() -> dict[str, Any]:
    schema: dict[str, Any] = json.loads(files(__package__).joinpath("contract/worker-input.schema.json").read_bytes())
    return schema


@cache
def _validator() -> Draft202012Validator:
    return Draft202012Validator(_schema())


def _explain(error: ValidationError) -> WorkerError:
    field = "input" + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in error.absolute_path)
    allowed: Any = error.validator_value
    match error.validator:
        case "maxLength":
            return WorkerError("too_long", f"{field}: at most {allowed} characters are allowed.")
        case "maxItems":
            return WorkerError("too_long", f"{field}: at most {allowed} items are allowed.")
        case "minLength" | "minItems":
            return WorkerError("invalid_input", f"{field}: must not be empty.")
        case "type":
            return WorkerError("invalid_input", f"{field}: must be of type {allowed}.")
        case "enum":
            return WorkerError("invalid_input", f"{field}: must be one of {', '.join(allowed)}.")
        case "required":
            return WorkerError("invalid_input", f"{field}: needs {', '.join(allowed)}.")
        case "additionalProperties":
            return WorkerError("invalid_input", f"{field}: only {', '.join(_properties(error))} are allowed.")
        case "minimum":
            return WorkerError("invalid_input", f"{field}: must be at least {allowed}.")
        case "maximum":
            return WorkerError("invalid_input", f"{field}: must be at most {allowed}.")
        case "exclusiveMinimum":
            return WorkerError("invalid_input", f"{field}: must be more than {allowed}.")
        case _:
            return WorkerError("invalid_input", f"{field}: is not valid.")


def _properties(error: ValidationError) -> list[str]:
    return list(error.schema["properties"]) if isinstance(error.schema, Mapping) else []
