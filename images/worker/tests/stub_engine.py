"""A scripted OpenAI-compatible engine on a real socket."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

Script = Callable[[web.StreamResponse], Awaitable[None]]
"""Writes the body of one response."""

USAGE = {"prompt_tokens": 40, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": 32}}


def event(data: dict[str, Any]) -> bytes:
    """Returns one server-sent event."""
    return f"data: {json.dumps(data, ensure_ascii=False)}\n\n".encode()


def text_event(content: str) -> bytes:
    """Returns the event of a piece of text."""
    return event({"choices": [{"index": 0, "delta": {"content": content}, "finish_reason": None}]})


def end_events(reason: str = "stop") -> bytes:
    """Returns the final events of a stream."""
    finish = event({"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]})
    return finish + event({"choices": [], "usage": USAGE}) + b"data: [DONE]\n\n"


def send(*chunks: bytes) -> Script:
    """Returns a script that sends each chunk as a separate packet."""

    async def script(response: web.StreamResponse) -> None:
        for chunk in chunks:
            await response.write(chunk)
            await asyncio.sleep(0.005)

    return script


class StubEngine:
    """
    Answers each request with the next entry of `answers`: a script or an HTTP status. Later requests get the final
    entry.
    """

    def __init__(self) -> None:
        self.base_url = ""
        self.answers: list[Script | int] = [send(text_event("あら、"), text_event("いらっしゃい。"), end_events())]
        self.requests: list[dict[str, Any]] = []
        self.connections: set[object] = set()
        self.requested = asyncio.Event()
        self.disconnected = asyncio.Event()
        self.error_body = '{"error": {"message": "no"}}'
        self.health_status = 200
        self.health_statuses: list[int] = []

    async def chat(self, request: web.Request) -> web.StreamResponse:
        """`POST /v1/chat/completions`."""
        self.requests.append(await request.json())
        self.connections.add(request.transport and request.transport.get_extra_info("peername"))
        self.requested.set()
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, int):
            return web.Response(status=answer, text=self.error_body)
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        try:
            await answer(response)
        except (asyncio.CancelledError, ConnectionError):
            self.disconnected.set()
            raise
        return response

    async def health(self, _request: web.Request) -> web.Response:
        """`GET /health`: returns the next entry of `health_statuses`, or `health_status` when the list is empty."""
        return web.Response(status=self.health_statuses.pop(0) if self.health_statuses else self.health_status)


async def hang(_response: web.StreamResponse) -> None:
    """Sends nothing for a minute."""
    await asyncio.sleep(60)


async def abort_after_text(response: web.StreamResponse) -> None:
    """Sends a piece of text, then aborts the connection."""
    await response.write(text_event("あら"))
    transport = response._req.transport if response._req else None
    if transport:
        transport.abort()


@asynccontextmanager
async def running(app: web.Application) -> AsyncIterator[int]:
    """Serves `app` on a free port and yields the port."""
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


@asynccontextmanager
async def stub_engine() -> AsyncIterator[StubEngine]:
    """Runs a stub engine."""
    stub = StubEngine()
    app = web.Application()
    app.add_routes([web.post("/v1/chat/completions", stub.chat), web.get("/health", stub.health)])
    async with running(app) as port:
        stub.base_url = f"http://127.0.0.1:{port}/v1"
        yield stub
