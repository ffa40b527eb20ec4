"""
A scripted engine with vLLM's API on a real socket, for the self-test of the gates. The engine makes the tokens of a
prompt with the template and tokenizer of the model.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from aiohttp import web

from .prompts import Prompts

Script = Callable[[str], str]
"""Returns the reply to a customer's message."""


@dataclass(frozen=True)
class ScriptedEngine:
    """Answers each chat with a script."""

    prompts: Prompts
    script: Script
    extra_tokens: tuple[int, ...] = ()
    """Tokens that the server adds before each prompt, such as a second BOS."""

    def _tokens(self, messages: list[dict[str, str]]) -> list[int]:
        return [*self.extra_tokens, *self.prompts.prompt_ids(messages)]

    async def tokenize(self, request: web.Request) -> web.Response:
        """`POST /tokenize`, in vLLM's form."""
        return web.json_response({"tokens": self._tokens((await request.json())["messages"])})

    async def chat(self, request: web.Request) -> web.StreamResponse:
        """`POST /v1/chat/completions`."""
        body = await request.json()
        text = self.script(body["messages"][-1]["content"])
        tokens = len(self.prompts.tokenizer.encode(text, add_special_tokens=False).ids)
        usage = {"prompt_tokens": len(self._tokens(body["messages"])), "completion_tokens": tokens}
        if not body.get("stream"):
            message = {"role": "assistant", "content": text}
            return web.json_response({"choices": [{"message": message, "finish_reason": "stop"}], "usage": usage})
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        events: list[object] = [
            {"choices": [{"delta": {"content": text}, "finish_reason": None}]},
            {"choices": [{"delta": {}, "finish_reason": "stop"}]},
            {"choices": [], "usage": usage},
        ]
        lines = [f"data: {json.dumps(event, ensure_ascii=False)}\n\n" for event in events]
        await response.write("".join([*lines, "data: [DONE]\n\n"]).encode())
        return response


@asynccontextmanager
async def serve(engine: ScriptedEngine) -> AsyncIterator[str]:
    """Serves an engine on a free loopback port. Yields its base URL, which ends in `/v1`."""
    app = web.Application()
    app.add_routes([web.post("/tokenize", engine.tokenize), web.post("/v1/chat/completions", engine.chat)])
    runner = web.AppRunner(app, shutdown_timeout=1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    try:
        await site.start()
        host, port = runner.addresses[0][:2]
        yield f"http://{host}:{port}/v1"
    finally:
        await runner.cleanup()
        await asyncio.sleep(0)
