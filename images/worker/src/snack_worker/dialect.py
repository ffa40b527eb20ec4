"""How a job is asked and answered: in our own shape, or in another that is a translation of it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from .chat_input import ChatInput, parse_input
from .engine import Outcome
from .errors import WorkerError
from .settings import Settings

Item = dict[str, Any] | str
"""What a RunPod handler yields."""


@dataclass(frozen=True)
class Reply:
    """A whole reply."""

    text: str
    outcome: Outcome
    timings: Mapping[str, float]


class Dialect(Protocol):
    """One job's shapes. A failure's last item is `{"error": "<JSON text>"}`, with which RunPod fails the job."""

    def parse(self) -> ChatInput | Item:
        """What is asked, or the answer where no model is needed for it. Raises WorkerError."""

    def delta(self, text: str) -> Item | None:
        """The item for a piece of the reply; None where pieces are not wanted."""

    def done(self, reply: Reply) -> Item:
        """The item for the end of the reply."""

    def failed(self, error: WorkerError) -> Iterator[Item]:
        """The items for a failure."""


class OwnDialect:
    """The product's own shapes: `{"delta"}` items, then the whole result with `done: true`."""

    def __init__(self, value: object, settings: Settings) -> None:
        self._value = value
        self._settings = settings
        self._stream = True

    def parse(self) -> ChatInput:
        """The job's input."""
        chat = parse_input(self._value)
        self._stream = chat.stream
        return chat

    def delta(self, text: str) -> Item | None:
        """A piece, unless `stream` is false."""
        return {"delta": text} if self._stream else None

    def done(self, reply: Reply) -> Item:
        """The whole result."""
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
        """The contract's error."""
        yield {"error": error.to_json()}


def usage(outcome: Outcome) -> dict[str, int]:
    """The tokens of a reply."""
    counts = {"prompt_tokens": outcome.prompt_tokens, "completion_tokens": outcome.completion_tokens}
    return counts if outcome.cached_tokens is None else {**counts, "cached_tokens": outcome.cached_tokens}
