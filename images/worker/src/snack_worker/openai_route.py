"""
OpenAI's chat completions, translated. RunPod turns a request to `/v2/<endpoint>/openai/v1/*` into a job with `input`
`{"openai_route": "/v1/…", "openai_input": <body>}`, and what the job yields into the answer: a string goes into the
event stream as it is, one mapping is the JSON body.

The rules of our own input hold: a ticket (the body's extra field `ticket`), its limits, the persona first. A field that
is null counts as absent, as with OpenAI. `system` and `developer` messages are refused, like every field that would
change the reply and is not served; what changes nothing is ignored (`contract/openai.ts` has the list).
"""

import json
import time
from collections.abc import Iterator, Mapping
from typing import Any, TypeGuard

from .chat_input import ChatInput, parse_input
from .dialect import Item, Reply, usage
from .errors import WorkerError
from .schemas import check
from .settings import Settings

CHAT = "/v1/chat/completions"
MODELS = "/v1/models"
FINISH_REASONS = {"stop": "stop", "length": "length", "filter": "content_filter"}
ROOT = "openai_input"

DONE = "data: [DONE]\n\n"

# Levels of a body that are looked at: itself, its messages, each, its parts, each.
LEVELS = 5


def is_openai(value: object) -> TypeGuard[Mapping[str, Any]]:
    """Whether a job's input came by the OpenAI route."""
    return isinstance(value, dict) and ("openai_route" in value or ROOT in value)


class OpenAiDialect:
    """The shapes of one request of the OpenAI route."""

    def __init__(self, value: Mapping[str, Any], job_id: str, settings: Settings) -> None:
        self._route = value.get("openai_route", CHAT)
        self._body = _without_nulls(value.get(ROOT, {}))
        self._settings = settings
        self._streams = isinstance(self._body, dict) and self._body.get("stream") is True
        self._with_usage = False
        self._begun = False
        self._about = {
            "id": f"chatcmpl-{job_id}",
            "created": int(time.time()),
            "model": settings.model,
            "system_fingerprint": settings.version,
        }

    def parse(self) -> ChatInput | Item:
        """A conversation, or the answer to a question about models."""
        card = {
            "id": self._settings.model,
            "object": "model",
            "created": 0,
            "owned_by": "snack-misaki",
            "version": self._settings.version,
        }
        if self._route == MODELS:
            return {"object": "list", "data": [card]}
        if self._route == f"{MODELS}/{card['id']}":
            return card
        if self._route != CHAT:
            allowed = f"must be one of {CHAT}, {MODELS}, {MODELS}/{card['id']}."
            raise WorkerError("invalid_input", allowed, field="openai_route")
        check("chat-completion-request", self._body, ROOT)
        if self._body["model"] != card["id"]:
            raise WorkerError("invalid_input", f"must be {card['id']} here.", field=f"{ROOT}.model")
        self._with_usage = self._body.get("stream_options", {}).get("include_usage", False)
        return parse_input(_translated(self._body))

    def delta(self, text: str) -> Item | None:
        """An event, where the answer is streamed."""
        return self._chunk(self._delta(text)) if self._streams else None

    def done(self, reply: Reply) -> Item:
        """The last events in one item, for each item is a request to RunPod; or the whole answer."""
        reason = FINISH_REASONS[str(reply.outcome.finish_reason)]
        tokens = _usage(reply)
        if self._streams:
            end = self._chunk({} if self._begun else self._delta(""), reason)
            return end + (self._event([], tokens) if self._with_usage else "") + DONE
        message = {"role": "assistant", "content": reply.text, "refusal": None}
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": reason}
        return {**self._about, "object": "chat.completion", "choices": [choice], "usage": tokens}

    def failed(self, error: WorkerError) -> Iterator[Item]:
        """An event for the client where the answer is streamed, and in any case the failed job, a 500 of RunPod's."""
        body = json.dumps({"error": _error(error)}, ensure_ascii=False)
        if self._streams:
            yield f"data: {body}\n\n"
        yield {"error": body}

    def _delta(self, content: str) -> dict[str, str]:
        delta = {"content": content} if self._begun else {"role": "assistant", "content": content}
        self._begun = True
        return delta

    def _chunk(self, delta: Mapping[str, str], finish_reason: str | None = None) -> str:
        return self._event([{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}], None)

    def _event(self, choices: list[Mapping[str, Any]], tokens: Mapping[str, Any] | None) -> str:
        chunk = {**self._about, "object": "chat.completion.chunk", "choices": choices}
        if self._with_usage:
            chunk["usage"] = tokens
        return f"data: {json.dumps(chunk, ensure_ascii=False)}\n\n"


def _translated(body: Mapping[str, Any]) -> dict[str, Any]:
    """The same request in our own shape; `body` fits the contract."""
    params = {name: body[name] for name in ("max_tokens", "temperature", "top_p", "seed") if name in body}
    if "max_completion_tokens" in body:
        params["max_tokens"] = body["max_completion_tokens"]
    messages = [{"role": turn["role"], "content": _text(turn["content"])} for turn in body["messages"]]
    ticket = {"ticket": body["ticket"]} if "ticket" in body else {}
    return {"messages": messages, "params": params, "stream": body.get("stream", False), **ticket}


def _text(content: str | list[Mapping[str, str]]) -> str:
    return content if isinstance(content, str) else "\n".join(part["text"] for part in content)


def _without_nulls(value: Any, levels: int = LEVELS) -> Any:
    if levels and isinstance(value, dict):
        return {name: _without_nulls(field, levels - 1) for name, field in value.items() if field is not None}
    return [_without_nulls(item, levels - 1) for item in value] if levels and isinstance(value, list) else value


def _usage(reply: Reply) -> dict[str, Any]:
    counts = usage(reply.outcome)
    cached = counts.pop("cached_tokens", None)
    details = {} if cached is None else {"prompt_tokens_details": {"cached_tokens": cached}}
    return {**counts, "total_tokens": sum(counts.values()), **details}


def _error(error: WorkerError) -> dict[str, Any]:
    """OpenAI's error and the contract's in one. The field is named as an OpenAI client knows it: from the body."""
    param = None
    message = error.text
    if error.field is not None:
        param = error.field.removeprefix(ROOT).removeprefix("input").removeprefix(".") or None
        message = f"{param or 'body'}: {error.text}"
    return {**error.body(), "message": message, "type": _type(error.status), "param": param}


def _type(status: int) -> str:
    by_status = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}
    return by_status.get(status, "server_error" if status >= 500 else "invalid_request_error")
