"""Client of an OpenAI-compatible LLM engine. It streams replies over one HTTP session that all jobs share."""

import asyncio
import json
import logging
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Mapping
from contextlib import aclosing, suppress
from dataclasses import dataclass
from typing import Any

import aiohttp
from aiohttp.http_exceptions import LineTooLong

from .errors import WorkerError

log = logging.getLogger(__name__)

RETRY_DELAY_S = 0.2
# Time limit for reading the rest of a response after its last event.
DRAIN_LIMIT_S = 0.1
# Ten times the longest reply that a client can request. An engine that sends a longer reply is broken.
MAX_REPLY_CHARS = 20_000
# A normal event has a few hundred bytes. This limit bounds the memory for an event that never ends.
MAX_EVENT_BYTES = 2**20
# Number of consecutive replies without a first text in time after which the engine counts as stuck. The health page of
# a stuck engine may still return 200.
MAX_MISSED_FIRST_TEXTS = 3
FINISH_REASONS = {"stop": "stop", "length": "length", "content_filter": "filter"}


@dataclass(frozen=True)
class Deadlines:
    """Time limits of the engine, in seconds."""

    connect_s: float = 3
    """Time limit for opening a connection."""
    first_text_s: float = 30
    """Time from the job's start to the first text, including the retry."""
    idle_s: float = 15
    """Time between two events after the first text."""
    total_s: float = 100
    """
    Time from the job's start to the end of the reply. RunPod ends a job after 120 s without giving a reason, so this
    limit is lower.
    """


@dataclass
class Outcome:
    """Facts about a reply besides its text. They are complete when the stream has ended."""

    finish_reason: str | None = None
    """`stop`, `length` or `filter`."""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int | None = None
    """Prompt tokens found in the prefix cache; None when the engine does not report them."""


class EngineError(WorkerError):
    """
    Failure of the engine. With `can_retry`, the same request may succeed a moment later. With `is_first_text_missed`,
    no text arrived in time.
    """

    def __init__(self, code: str, cause: str, *, can_retry: bool = False, is_first_text_missed: bool = False) -> None:
        super().__init__(code, cause=cause)
        self.can_retry = can_retry
        self.is_first_text_missed = is_first_text_missed


class Engine:
    """
    Client of one engine. `base_url` ends in `/v1`. Use each instance in only one asyncio event loop. The HTTP session
    closes when that loop ends. `on_stuck` gets the reason each time the engine becomes stuck.
    """

    def __init__(
        self,
        base_url: str,
        deadlines: Deadlines | None = None,
        on_stuck: Callable[[str], None] = lambda _reason: None,
    ) -> None:
        self._url = f"{base_url}/chat/completions"
        self._deadlines = deadlines or Deadlines()
        self._on_stuck = on_stuck
        self._missed_first_texts = 0
        self._session: aiohttp.ClientSession | None = None
        self._session_lifetime: AsyncGenerator[aiohttp.ClientSession] | None = None

    async def stream_text(self, request: Mapping[str, object], outcome: Outcome) -> AsyncGenerator[str]:
        """
        Yields the reply's text as it arrives. White space at the beginning is yielded with the first other text. Sets
        the fields of `outcome` before the generator ends. `request` is a chat completion request without the streaming
        fields. If a temporary failure (such as a broken connection, a 5xx status or an empty reply) occurs before the
        first text, the request is retried once. Raises WorkerError: unavailable, overloaded, timeout, too_long or
        internal.
        """
        start_s = asyncio.get_running_loop().time()
        may_retry = True
        while True:
            try:
                async with aclosing(self._attempt(request, outcome, start_s)) as pieces:
                    async for piece in pieces:
                        may_retry = False
                        self._missed_first_texts = 0
                        yield piece
                return
            except EngineError as error:
                if error.is_first_text_missed:
                    self._count_missed_first_text()
                if not (may_retry and error.can_retry):
                    raise
                log.warning("engine: %s; retrying once", error.cause)
            may_retry = False
            await asyncio.sleep(RETRY_DELAY_S)

    def _count_missed_first_text(self) -> None:
        self._missed_first_texts += 1
        if self._missed_first_texts == MAX_MISSED_FIRST_TEXTS:
            self._on_stuck(f"the engine is stuck: it sent no text in time, {MAX_MISSED_FIRST_TEXTS} times in a row")

    async def _attempt(self, request: Mapping[str, object], outcome: Outcome, start_s: float) -> AsyncGenerator[str]:
        first_text_deadline_s = start_s + self._deadlines.first_text_s
        end_deadline_s = start_s + self._deadlines.total_s
        clock = asyncio.get_running_loop().time
        body = {**request, "stream": True, "stream_options": {"include_usage": True}}
        session = await self._open_session()
        outcome.finish_reason = None
        chars = 0
        white_space = ""
        try:
            async with asyncio.timeout_at(first_text_deadline_s):
                response = await session.post(self._url, json=body)
            async with response, aclosing(_sse_data(response.content)) as events:
                await _check_status(response)
                while True:
                    deadline_s = clock() + self._deadlines.idle_s if chars else first_text_deadline_s
                    async with asyncio.timeout_at(min(deadline_s, end_deadline_s)):
                        data = await anext(events, "[DONE]")
                    if data == "[DONE]":
                        await _drain(response)
                        break
                    text = white_space + _read_chunk(json.loads(data), outcome)
                    if chars + len(text) > MAX_REPLY_CHARS:
                        raise EngineError("unavailable", f"the reply has more than {MAX_REPLY_CHARS} characters")
                    if not chars and not text.strip():
                        white_space = text
                        continue
                    white_space = ""
                    chars += len(text)
                    if text:
                        yield text
        # This clause comes before TimeoutError, because aiohttp's connection timeout has both types.
        except (aiohttp.ClientError, ConnectionError) as error:
            raise EngineError("unavailable", type(error).__name__, can_retry=True) from error
        except TimeoutError as error:
            raise EngineError(
                "timeout", "the engine did not respond in time", is_first_text_missed=not chars
            ) from error
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError, LineTooLong) as error:
            raise EngineError("unavailable", f"the stream is invalid ({type(error).__name__})") from error
        if outcome.finish_reason is None:
            raise EngineError("unavailable", "the stream ended early", can_retry=True)
        if outcome.finish_reason != "filter" and not chars:
            raise EngineError("unavailable", "the reply is empty", can_retry=True)

    async def _open_session(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session_lifetime = self._keep_session()
            self._session = await anext(self._session_lifetime)
        return self._session

    async def _keep_session(self) -> AsyncGenerator[aiohttp.ClientSession]:
        """
        Keeps the session open until `asyncio.run` ends. This is a generator, because `asyncio.run` closes open
        generators.
        """
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=self._deadlines.connect_s)
        async with aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0), timeout=timeout, read_bufsize=2**20
        ) as session:
            yield session


async def _sse_data(lines: AsyncIterable[bytes]) -> AsyncGenerator[str]:
    """
    Yields the data of each server-sent event. `lines` are whole lines with their line endings, so that a character
    split between two packets is decoded correctly. An incomplete final event is dropped. Raises ValueError for a line
    that is not UTF-8 and for an event of more than MAX_EVENT_BYTES.
    """
    data: list[str] = []
    size = 0
    async for raw in lines:
        line = raw.decode("utf-8").rstrip("\r\n")
        if line.startswith("data:"):
            data.append(line.removeprefix("data:").removeprefix(" "))
            size += len(raw)
            if size > MAX_EVENT_BYTES:
                raise ValueError("an event is too long")
        elif not line and data:
            yield "\n".join(data)
            data, size = [], 0


async def _drain(response: aiohttp.ClientResponse) -> None:
    """Reads the response to its end, because only then can the next job reuse the connection."""
    with suppress(aiohttp.ClientError, TimeoutError):
        async with asyncio.timeout(DRAIN_LIMIT_S):
            while not response.content.at_eof():
                await response.content.readany()


async def _check_status(response: aiohttp.ClientResponse) -> None:
    status = response.status
    if status == 200:
        return
    cause = f"HTTP {status}"
    if status in (429, 503):
        raise EngineError("overloaded", cause, can_retry=status == 503)
    if status >= 500:
        raise EngineError("unavailable", cause, can_retry=True)
    async with asyncio.timeout(1):
        reason = (await response.content.read(10_000)).decode("utf-8", "replace")
    if "context length" in reason or "max_model_len" in reason:
        raise EngineError("too_long", cause)
    raise EngineError("internal", cause)


def _read_chunk(chunk: dict[str, Any], outcome: Outcome) -> str:
    """
    Returns the text of a chunk. Stores the chunk's other facts in `outcome`. Raises EngineError for a chunk with an
    error, and ValueError, LookupError, TypeError or AttributeError for an invalid chunk.
    """
    if "error" in chunk:
        raise EngineError("unavailable", "the engine sent an error in the stream", can_retry=True)
    if usage := chunk.get("usage"):
        outcome.prompt_tokens = int(usage["prompt_tokens"])
        outcome.completion_tokens = int(usage["completion_tokens"])
        outcome.cached_tokens = (usage.get("prompt_tokens_details") or {}).get("cached_tokens")
    if not chunk["choices"]:
        return ""
    choice = chunk["choices"][0]
    if reason := choice.get("finish_reason"):
        if reason not in FINISH_REASONS:
            raise EngineError("unavailable", f"unknown finish_reason {reason!r}")
        outcome.finish_reason = FINISH_REASONS[reason]
    text: str = choice["delta"].get("content") or ""
    # Raises for a lone surrogate, which JSON allows but UTF-8 does not.
    text.encode()
    return text
