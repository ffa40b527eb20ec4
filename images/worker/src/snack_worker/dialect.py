"""
Dialects: the JSON forms of jobs. Each dialect translates a job's input to `ChatInput`, and a `Reply` to the job's
items.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from .chat_input import ChatInput, parse_input
from .engine import Outcome
from .errors import WorkerError
from .settings import Settings

Item = dict[str, Any] | str
"""Item that a RunPod handler yields."""


@dataclass(frozen=True)
class Reply:
    """A complete reply."""

    text: str
    outcome: Outcome
    timings: Mapping[str, float]


class Dialect(Protocol):
    """
    JSON form of one job's input and items. The final item of a failed job is `{"error": "<JSON text>"}`. Before `parse`
    has returned, the input is unchecked: any JSON is possible.
    """

    def public_response(self) -> Item | None:
        """Returns the complete response when the request needs no ticket, otherwise None. Raises WorkerError."""

    def ticket(self) -> object:
        """
        Returns the unchecked ticket, or None without a ticket. Raises WorkerError when the input has the wrong type.
        """

    def parse(self) -> ChatInput:
        """Validates the input and returns the conversation. Raises WorkerError."""

    def delta(self, text: str) -> Item | None:
        """Returns the item for a piece of the reply, or None when the client did not ask for a stream."""

    def done(self, reply: Reply) -> Item:
        """Returns the item for the end of the reply."""

    def failed(self, error: WorkerError) -> Iterator[Item]:
        """Yields the items for a failure."""


class NativeDialect:
    """
    The native form of this project, not OpenAI's form: `{"delta"}` items, then the complete result with `done: true`.
    """

    def __init__(self, value: object, settings: Settings) -> None:
        self._value = value
        self._settings = settings
        self._stream = True

    def public_response(self) -> None:
        """Returns None: every request needs a ticket."""

    def ticket(self) -> object:
        """Returns the field `ticket`. Raises WorkerError when the input is not an object."""
        return ticket_in(self._value, "input")

    def parse(self) -> ChatInput:
        """Validates the input and returns the conversation. Raises WorkerError."""
        chat = parse_input(self._value)
        self._stream = chat.stream
        return chat

    def delta(self, text: str) -> Item | None:
        """Returns `{"delta"}`, or None when `stream` is false."""
        return {"delta": text} if self._stream else None

    def done(self, reply: Reply) -> Item:
        """Returns the complete result."""
        settings = self._settings
        return {
            "done": True,
            "text": reply.text,
            "finish_reason": reply.outcome.finish_reason,
            "usage": usage(reply.outcome),
            "model": {"plan": settings.plan, "name": settings.model, "version": settings.version},
            "timings": reply.timings,
        }

    def failed(self, error: WorkerError) -> Iterator[Item]:
        """Yields the contract's error."""
        yield {"error": error.to_json()}


def usage(outcome: Outcome) -> dict[str, int]:
    """Returns a reply's token counts in the contract's form."""
    counts = {"prompt_tokens": outcome.prompt_tokens, "completion_tokens": outcome.completion_tokens}
    return counts if outcome.cached_tokens is None else {**counts, "cached_tokens": outcome.cached_tokens}


def ticket_in(value: object, field: str) -> object:
    """Returns the field `ticket` of an object, or None. Raises WorkerError when the value is not an object."""
    if not isinstance(value, dict):
        raise WorkerError("invalid_input", "must be of type object.", field=field)
    return value.get("ticket")
