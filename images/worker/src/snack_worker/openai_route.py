"""
Translation between OpenAI's chat completions and our own form of a job. RunPod turns a request to
`/v2/<endpoint>/openai/v1/*` into a job with `input` `{"openai_route": "/v1/…", "openai_input": <body>}`. RunPod turns
the job's items into the response: it writes an item that is a string to the event stream unchanged, and returns a
single mapping as the JSON body.

The extra body field `ticket` is required. As for every job, the ticket's limits apply and the prompt begins with the
persona. As with OpenAI, null means absent. `system` and `developer` messages are rejected. An unsupported field is
rejected when it would change the reply, and otherwise ignored. `contract/openai.ts` lists the ignored fields.
"""

import json
import time
from collections.abc import Iterator, Mapping
from typing import Any, TypeGuard

from .chat_input import ChatInput, parse_input
from .dialect import Item, Reply, ticket_in, usage
from .errors import WorkerError
from .schemas import check
from .settings import Settings

CHAT = "/v1/chat/completions"
MODELS = "/v1/models"
FINISH_REASONS = {"stop": "stop", "length": "length", "filter": "content_filter"}
ROOT = "openai_input"

DONE = "data: [DONE]\n\n"

# Nesting levels of a body in which nulls are removed: body, messages, message, parts, part.
NULL_LEVELS = 5


def is_openai(value: object) -> TypeGuard[Mapping[str, Any]]:
    """Whether a job's input came through the OpenAI route."""
    return isinstance(value, dict) and ("openai_route" in value or ROOT in value)


class OpenAiDialect:
    """OpenAI's form of one job's input and items."""

    def __init__(self, value: Mapping[str, Any], job_id: str, settings: Settings) -> None:
        self._route = value.get("openai_route", CHAT)
        self._body = value.get(ROOT, {})
        self._settings = settings
        self._stream = isinstance(self._body, dict) and self._body.get("stream") is True
        self._include_usage = False
        self._started = False
        self._common_fields = {
            "id": f"chatcmpl-{job_id}",
            "created": int(time.time()),
            "model": settings.model,
            "system_fingerprint": settings.version,
        }

    def public_response(self) -> Item | None:
        """Returns the model list or the model, otherwise None. Raises WorkerError for an unknown route."""
        model = {
            "id": self._settings.model,
            "object": "model",
            "created": 0,
            "owned_by": "snack-misaki",
            "version": self._settings.version,
        }
        if self._route == MODELS:
            return {"object": "list", "data": [model]}
        if self._route == f"{MODELS}/{model['id']}":
            return model
        if self._route != CHAT:
            allowed = f"must be one of {CHAT}, {MODELS}, {MODELS}/{model['id']}."
            raise WorkerError("invalid_input", allowed, field="openai_route")
        return None

    def ticket(self) -> object:
        """Returns the body's field `ticket`. Raises WorkerError when the body is not an object."""
        return ticket_in(self._body, ROOT)

    def parse(self) -> ChatInput:
        """Validates the body and returns the conversation. Raises WorkerError."""
        body = _without_nulls(self._body)
        check("chat-completion-request", body, ROOT)
        if body["model"] != self._settings.model:
            raise WorkerError(
                "invalid_input", f"must be {self._settings.model} at this endpoint.", field=f"{ROOT}.model"
            )
        self._include_usage = body.get("stream_options", {}).get("include_usage", False)
        return parse_input(_to_native(body))

    def delta(self, text: str) -> Item | None:
        """Returns an event, or None when the client did not ask for a stream."""
        return self._chunk(self._delta(text)) if self._stream else None

    def done(self, reply: Reply) -> Item:
        """
        When streaming, returns the final events as one item, because each item costs a request to RunPod. Otherwise
        returns the complete response.
        """
        reason = FINISH_REASONS[str(reply.outcome.finish_reason)]
        tokens = _openai_usage(reply)
        if self._stream:
            end = self._chunk({} if self._started else self._delta(""), reason)
            return end + (self._event([], tokens) if self._include_usage else "") + DONE
        message = {"role": "assistant", "content": reply.text, "refusal": None}
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": reason}
        return {**self._common_fields, "object": "chat.completion", "choices": [choice], "usage": tokens}

    def failed(self, error: WorkerError) -> Iterator[Item]:
        """
        Yields an event when streaming. Then yields the error that fails the job. RunPod returns HTTP 500 for a failed
        job.
        """
        body = json.dumps({"error": _openai_error(error)}, ensure_ascii=False)
        if self._stream:
            yield f"data: {body}\n\n"
        yield {"error": body}

    def _delta(self, content: str) -> dict[str, str]:
        delta = {"content": content} if self._started else {"role": "assistant", "content": content}
        self._started = True
        return delta

    def _chunk(self, delta: Mapping[str, str], finish_reason: str | None = None) -> str:
        return self._event([{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}], None)

    def _event(self, choices: list[Mapping[str, Any]], tokens: Mapping[str, Any] | None) -> str:
        chunk = {**self._common_fields, "object": "chat.completion.chunk", "choices": choices}
        if self._include_usage:
            chunk["usage"] = tokens
        return f"data: {json.dumps(chunk, ensure_ascii=False)}\n\n"


def _to_native(body: Mapping[str, Any]) -> dict[str, Any]:
    """Translates a valid OpenAI body to our own form of the input."""
    params = {name: body[name] for name in ("max_tokens", "temperature", "top_p", "seed") if name in body}
    if "max_completion_tokens" in body:
        params["max_tokens"] = body["max_completion_tokens"]
    messages = [{"role": turn["role"], "content": _text(turn["content"])} for turn in body["messages"]]
    return {"messages": messages, "params": params, "stream": body.get("stream", False)}


def _text(content: str | list[Mapping[str, str]]) -> str:
    return content if isinstance(content, str) else "\n".join(part["text"] for part in content)


def _without_nulls(value: Any, levels: int = NULL_LEVELS) -> Any:
    if levels and isinstance(value, dict):
        return {name: _without_nulls(field, levels - 1) for name, field in value.items() if field is not None}
    return [_without_nulls(item, levels - 1) for item in value] if levels and isinstance(value, list) else value


def _openai_usage(reply: Reply) -> dict[str, Any]:
    counts = usage(reply.outcome)
    cached = counts.pop("cached_tokens", None)
    details = {} if cached is None else {"prompt_tokens_details": {"cached_tokens": cached}}
    return {**counts, "total_tokens": sum(counts.values()), **details}


def _openai_error(error: WorkerError) -> dict[str, Any]:
    """Returns OpenAI's and the contract's error fields together. Field paths are relative to the body."""
    param = None
    message = error.text
    if error.field is not None:
        param = error.field.removeprefix(ROOT).removeprefix("input").removeprefix(".") or None
        message = f"{param or 'body'}: {error.text}"
    return {**error.body(), "message": message, "type": _error_type(error.status), "param": param}


def _error_type(status: int) -> str:
    by_status = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}
    return by_status.get(status, "server_error" if status >= 500 else "invalid_request_error")
