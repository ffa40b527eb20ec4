"""A scripted OpenAI-compatible engine on a real socket."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

Script = Callable[[web.StreamResponse], Awaitable[None]]

USAGE = {"prompt_tokens": 40, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": 32}}


def event(data: dict[str, Any]) -> bytes:
    """One server-sent event."""
    return f"data: {json.dumps(data, ensure_ascii=False)}\n\n".encode()


def text(content: str) -> bytes:
    """The event of a piece of text."""
    return event({"choices": [{"index": 0, "delta": {"content": content}, "finish_reason": None}]})


def ending(reason: str = "stop") -> bytes:
    """The events a stream ends with."""
    finish = event({"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]})
    return finish + event({"choices": [], "usage": USAGE}) + b"data: [DONE]\n\n"


def says(*chunks: bytes) -> Script:
    """Sends the chunks as they are, each as a packet of its own."""

    async def script(response: web.StreamResponse) -> None:
        for chunk in chunks:
            await response.write(chunk)
            await asyncio.sleep(0.005)

    return script


class StubEngine:
    """Answers the requests one after another as `answers` says; the last one again and again."""

    def __init__(self) -> None:
        self.base_url = ""
        self.answers: list[Script | int] = [says(text("あら、"), text("いらっしゃい。"), ending())]
        self.requests: list[dict[str, Any]] = []
        self.connections: set[object] = set()
        self.asked = asyncio.Event()
        self.abandoned = asyncio.Event()
        self.error_body = '{"error": {"message": "no"}}'
        self.health_status = 200
        self.health_statuses: list[int] = []

    async def chat(self, request: web.Request) -> web.StreamResponse:
        """`POST /v1/chat/completions`."""
        self.requests.append(await request.json())
        self.connections.add(request.transport and request.transport.get_extra_info("peername"))
        self.asked.set()
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, int):
            return web.Response(status=answer, text=self.error_body)
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        try:
            await answer(response)
        except (asyncio.CancelledError, ConnectionError):
            self.abandoned.set()
            raise
        return response

    async def health(self, _request: web.Request) -> web.Response:
        """`GET /health`."""
        return web.Response(status=self.health_statuses.pop(0) if self.health_statuses else self.health_status)


async def hang(_response: web.StreamResponse) -> None:
    """Says nothing more for a minute."""
    await asyncio.sleep(60)


async def cut(response: web.StreamResponse) -> None:
    """Breaks the connection off."""
    await response.write(text("あら"))
    transport = response._req.transport if response._req else None
    if transport:
        transport.abort()


@asynccontextmanager
async def running(app: web.Application) -> AsyncIterator[int]:
    """Serves `app` on a free port, which it gives."""
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
    """A running stub."""
    stub = StubEngine()
    app = web.Application()
    app.add_routes([web.post("/v1/chat/completions", stub.chat), web.get("/health", stub.health)])
    async with running(app) as port:
        stub.base_url = f"http://127.0.0.1:{port}/v1"
        yield stub
