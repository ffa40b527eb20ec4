"""
Checks of the worker against a real vLLM. `npm run smoke -- --engine vllm` runs this program for each model.

Arguments: the base URL of vLLM, the model, and the folder of the weights. Prints one JSON object, or fails with an
AssertionError.
"""

import asyncio
import json
import sys
import tempfile
import time
from contextlib import aclosing
from pathlib import Path
from typing import Any

import aiohttp

from snack_worker.chat_input import Message
from snack_worker.chat_template import read_template
from snack_worker.engine import Engine
from snack_worker.handler import Handler, make_handler
from snack_worker.persona import persona
from snack_worker.settings import Settings, read_settings
from snack_worker.tokenizer import read_prompt_format

from .real_tokenizers import encode, template_file
from .worker_environment import environment, ticket

LIMIT_S = 5


def _user(text: str) -> Message:
    return {"role": "user", "content": text}


def _assistant(text: str) -> Message:
    return {"role": "assistant", "content": text}


def _conversations() -> list[list[Message]]:
    system = persona(time.time())
    return [
        [system, _user("こんばんは")],
        [system, _user("こんばんは"), _assistant("あら、いらっしゃい。"), _user("ただいま🍑 2 cups")],
        [system, _assistant("あら、いらっしゃい。"), _user("やあ")],
        [_user("persona なし")],
        [system, _user("𩸽の🍣をください\n\t ね")],
        [system, _user("<|end|><|user|></s>[INST]")],
        [system, _user("  前後の空白  "), _assistant(" そうね "), _user("\n改行\n")],
        [system, _user("👨‍👩‍👧‍👦 と ｱｲｳ と é と é")],
        [system, _user("Hello, Mama! How are you?")],
        [system, _user("あ" * 500)],
        [system, _user("0123456789 + - * / = { } ( )")],
    ]


class Checks:
    """Checks of one model."""

    def __init__(self, base_url: str, model: str, weights: Path) -> None:
        self._origin = base_url.removesuffix("/v1")
        self._model = model
        files = {"TOKENIZER_FILE": str(weights / "tokenizer.json"), "CHAT_TEMPLATE_FILE": str(template_file(model))}
        env = environment(Path(tempfile.mkdtemp()), MODEL=model, ENGINE_BASE_URL=base_url, **files)
        self._settings: Settings = read_settings(env)
        self._handler: Handler = make_handler(self._settings, Engine(base_url))
        limits = {"max_tokens": 512, "max_messages": 40, "max_input_chars": 2_000}
        self._ticket = ticket(aud=model, limits=limits)

    async def run(self) -> dict[str, object]:
        """Runs all checks and returns their results."""
        async with aiohttp.ClientSession() as self._session:
            return {
                "tokenize": await self.tokenize(),
                "fullContext": await self.full_context(),
                "abortMs": await self.abort(),
                "stopTokens": await self.stop(),
                "cachedTokens": await self.cached_tokens(),
            }

    async def tokenize(self) -> str:
        """Checks that vLLM and the worker make the same tokens from a conversation."""
        render = read_template(template_file(self._model)).render
        conversations = _conversations()
        for messages in conversations:
            body = {"model": self._model, "messages": messages}
            tokens = (await self._post("/tokenize", body))["tokens"]
            assert tokens == encode(self._model, render(messages)), (
                f"vLLM and the worker make different tokens for {messages[-1]}"
            )
        return f"{len(conversations)} of {len(conversations)}"

    async def full_context(self) -> str:
        """Checks that vLLM accepts a shortened conversation together with the longest reply."""
        line = (Path(__file__).parent / "ten_turns.txt").read_text(encoding="utf-8")[:200]
        messages = [(_assistant if index % 2 else _user)(f"{index} {line}") for index in range(39)]
        done = (await self._run(messages=messages, params={"max_tokens": 512}))[-1]
        used = done["usage"]["prompt_tokens"] + 512
        most = self._settings.context_tokens
        # The conversation with one more pair of messages would not fit.
        assert most - 600 < used <= most, f"{used} of {most} tokens"
        return f"{used} of {most}"

    async def abort(self) -> int:
        """Checks that vLLM aborts the reply of a cancelled job. Returns the delay of the abort in milliseconds."""
        # A model with random weights ends some replies before their first text can be read.
        for text in ("こんばんは", "おすすめは?", "ただいま", "Hello", "雨ですね", "乾杯", "おなかがすいた", "🍶"):
            job = {"text": text, "params": {"max_tokens": 512}, "ticket": self._ticket}
            async with aclosing(self._handler({"id": "cancelled", "input": job})) as items:
                await anext(items)
                runs = await self._has_running(1)
            start_s = time.perf_counter()
            assert await self._has_running(0), "the reply was not aborted"
            if runs:
                return round((time.perf_counter() - start_s) * 1_000)
        raise AssertionError("every reply ended before its cancellation")

    async def stop(self) -> int:
        """Checks that vLLM stops at the chat template's end token, even when the weights name another token (Phi-3)."""
        stop: Any = read_prompt_format(self._settings.tokenizer_file, template_file(self._model)).stop
        body = {
            "model": self._model,
            "messages": [_user("やあ")],
            "max_tokens": 20,
            # Makes the end token the only possible token.
            "logit_bias": {str(stop["stop_token_ids"][0]): 100},
        }
        answer = await self._post("/v1/chat/completions", {**body, **stop})
        assert answer["choices"][0]["finish_reason"] == "stop"
        tokens: int = answer["usage"]["completion_tokens"]
        assert tokens == 1
        return tokens

    async def cached_tokens(self) -> int:
        """Checks that vLLM finds the persona in its prefix cache. Returns the number of cached tokens."""
        done = (await self._run(text="はじめまして𩸽"))[-1]
        cached: int = done["usage"]["cached_tokens"]
        assert cached > 1_000
        return cached

    async def _run(self, **value: Any) -> list[Any]:
        job = {"ticket": self._ticket, **value}
        items = [item async for item in self._handler({"id": "check", "input": job})]
        assert "error" not in items[-1], items[-1]
        return items

    async def _has_running(self, requests: int) -> bool:
        """Waits until vLLM's metrics show this number of running requests. Returns False when they do not."""
        end_s = time.perf_counter() + LIMIT_S
        while await self._running_requests() != requests:
            if time.perf_counter() > end_s:
                return False
            await asyncio.sleep(0.01)
        return True

    async def _running_requests(self) -> int:
        async with self._session.get(f"{self._origin}/metrics?model={self._model}") as response:
            lines = (await response.text()).splitlines()
        return sum(int(float(line.split()[-1])) for line in lines if line.startswith("vllm:num_requests_running{"))

    async def _post(self, path: str, body: object) -> Any:
        async with self._session.post(self._origin + path, json=body) as response:
            assert response.status == 200, await response.text()
            return await response.json()


if __name__ == "__main__":
    base_url, model, weights = sys.argv[1:]
    print(json.dumps(asyncio.run(Checks(base_url, model, Path(weights)).run())))
