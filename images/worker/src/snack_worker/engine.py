"""Client of the engine: any OpenAI-compatible server, streamed over one HTTP session that all jobs share."""

import asyncio
import json
import logging
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing, suppress
from dataclasses import dataclass
from typing import Any

import aiohttp
from aiohttp.http_exceptions import LineTooLong

from .errors import WorkerError
from .sse import sse_data

log = logging.getLogger(__name__)

RETRY_DELAY_S = 0.2
END_LIMIT_S = 0.1
# Ten times what the longest reply that can be asked for takes: an engine that talks on is broken.
MAX_REPLY_CHARS = 20_000
FINISH_REASONS = {"stop": "stop", "length": "length", "content_filter": "filter"}


@dataclass(frozen=True)
class Deadlines:
    """How long the engine may take, in seconds."""

    connect_s: float = 3
    """Opening a connection."""
    first_text_s: float = 30
    """From the job's start to the first text, a repeated request included."""
    idle_s: float = 15
    """Between two events after that."""
    total_s: float = 100
    """The whole reply; less than the 120 s after which RunPod ends a job without a word."""


@dataclass
class Outcome:
    """What is known of a reply besides its text, once its stream has ended."""

    finish_reason: str | None = None
    """`stop`, `length` or `filter`."""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int | None = None
    """Prompt tokens taken from the prefix cache, where the engine says so."""


class EngineError(WorkerError):
    """The engine failed. `repeatable` says that the same request may go well a moment later."""

    def __init__(self, code: str, cause: str, *, repeatable: bool = False) -> None:
        super().__init__(code, cause=cause)
        self.repeatable = repeatable


class Engine:
    """One engine. `base_url` ends in `/v1`. It belongs to one event loop, and its session closes with that loop."""

    def __init__(self, base_url: str, deadlines: Deadlines | None = None) -> None:
        self._url = f"{base_url}/chat/completions"
        self._deadlines = deadlines or Deadlines()
        self._session: aiohttp.ClientSession | None = None
        self._session_lifetime: AsyncGenerator[aiohttp.ClientSession] | None = None

    async def stream_text(self, request: Mapping[str, object], outcome: Outcome) -> AsyncGenerator[str]:
        """
        The reply's text as it comes; `outcome` is filled in by the time it ends. `request` is a chat completion's,
        without the streaming fields. A connection that broke and a 5xx are tried once more, unless there was text
        already. Raises WorkerError: unavailable, overloaded, timeout, too_long or internal.
        """
        start_s = asyncio.get_running_loop().time()
        may_repeat = True
        while True:
            try:
                async with aclosing(self._attempt(request, outcome, start_s)) as pieces:
                    async for piece in pieces:
                        may_repeat = False
                        yield piece
                return
            except EngineError as error:
                if not (may_repeat and error.repeatable):
                    raise
                log.warning("engine: %s; trying once more", error.cause)
            may_repeat = False
            await asyncio.sleep(RETRY_DELAY_S)

    async def _attempt(self, request: Mapping[str, object], outcome: Outcome, start_s: float) -> AsyncGenerator[str]:
        first_text_by = start_s + self._deadlines.first_text_s
        ends_by = start_s + self._deadlines.total_s
        clock = asyncio.get_running_loop().time
        body = {**request, "stream": True, "stream_options": {"include_usage": True}}
        session = await self._open_session()
        outcome.finish_reason = None
        chars = 0
        try:
            async with asyncio.timeout_at(first_text_by):
                response = await session.post(self._url, json=body)
            async with response, aclosing(sse_data(response.content)) as events:
                await _check_status(response)
                while True:
                    limit = clock() + self._deadlines.idle_s if chars else first_text_by
                    async with asyncio.timeout_at(min(limit, ends_by)):
                        data = await anext(events, "[DONE]")
                    if data == "[DONE]":
                        await _read_to_end(response)
                        break
                    if text := _read_chunk(json.loads(data), outcome):
                        chars += len(text)
                        if chars > MAX_REPLY_CHARS:
                            raise EngineError("unavailable", f"more than {MAX_REPLY_CHARS} characters")
                        yield text
        # aiohttp's own time-outs (here: connecting) are both a ClientError and a TimeoutError.
        except (aiohttp.ClientError, ConnectionError) as error:
            raise EngineError("unavailable", type(error).__name__, repeatable=True) from error
        except TimeoutError as error:
            raise EngineError("timeout", "no answer in time") from error
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError, LineTooLong) as error:
            raise EngineError("unavailable", f"not an engine's stream ({type(error).__name__})") from error
        if outcome.finish_reason is None:
            raise EngineError("unavailable", "the stream broke off", repeatable=True)
        if outcome.finish_reason == "stop" and chars == 0:
            raise EngineError("unavailable", "an empty reply", repeatable=True)

    async def _open_session(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session_lifetime = self._keep_session()
            self._session = await anext(self._session_lifetime)
        return self._session

    async def _keep_session(self) -> AsyncGenerator[aiohttp.ClientSession]:
        """A generator, because an event loop closes those that are left when it ends (`asyncio.run` does)."""
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=self._deadlines.connect_s)
        async with aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0), timeout=timeout, read_bufsize=2**20
        ) as session:
            yield session


async def _read_to_end(response: aiohttp.ClientResponse) -> None:
    """The connection can serve the next job only when this response is at its end, which follows the last event."""
    with suppress(aiohttp.ClientError, TimeoutError):
        async with asyncio.timeout(END_LIMIT_S):
            while not response.content.at_eof():
                await response.content.readany()


async def _check_status(response: aiohttp.ClientResponse) -> None:
    status = response.status
    if status == 200:
        return
    cause = f"HTTP {status}"
    if status in (429, 503):
        raise EngineError("overloaded", cause, repeatable=status == 503)
    if status >= 500:
        raise EngineError("unavailable", cause, repeatable=True)
    async with asyncio.timeout(1):
        reason = (await response.content.read(10_000)).decode("utf-8", "replace")
    if "context length" in reason or "max_model_len" in reason:
        raise EngineError("too_long", cause)
    raise EngineError("internal", cause)


def _read_chunk(chunk: dict[str, Any], outcome: Outcome) -> str:
    """
    Text of one chunk; what else it says goes to `outcome`. Raises EngineError for an error in it, and ValueError,
    LookupError, TypeError or AttributeError for what is no chunk.
    """
    if "error" in chunk:
        raise EngineError("unavailable", "an error in the stream", repeatable=True)
    if usage := chunk.get("usage"):
        outcome.prompt_tokens = int(usage["prompt_tokens"])
        outcome.completion_tokens = int(usage["completion_tokens"])
        outcome.cached_tokens = (usage.get("prompt_tokens_details") or {}).get("cached_tokens")
    if not chunk["choices"]:
        return ""
    choice = chunk["choices"][0]
    if reason := choice.get("finish_reason"):
        if reason not in FINISH_REASONS:
            raise EngineError("unavailable", f"finish_reason {reason!r}")
        outcome.finish_reason = FINISH_REASONS[reason]
    text: str = choice["delta"].get("content") or ""
    # Half a character, as an escaped surrogate, is JSON but no text: it could not be sent on.
    text.encode()
    return text
