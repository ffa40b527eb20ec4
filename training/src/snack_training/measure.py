"""
Measures a served candidate through the worker's own code: the prompts, the replies as Mama, and the speed. The engine
is a running server with an OpenAI-compatible API: vLLM, or llama.cpp on a CPU.
"""

import asyncio
import json
import statistics
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import aiohttp
import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from jwt.algorithms import OKPAlgorithm
from snack_worker.chat_input import Message
from snack_worker.engine import Engine
from snack_worker.handler import Handler, make_handler
from snack_worker.settings import MODEL_PLANS, read_settings

from .errors import TrainingError
from .facts import template_file
from .files import read_json
from .measurements import Measurements, PersonaReply, PromptTokens, Speed
from .persona_prompts import PersonaPrompt
from .probes import probes
from .prompts import Prompts

ENGINES = ("vllm", "llama.cpp")
CHATS = (1, 8, 16)
"""Numbers of concurrent chats for the measurement of the speed."""
_ROUNDS = 5
"""Rounds of concurrent chats. The speed is a median of all their chats."""
_LIMIT_S = 120
_ISSUER = "snack-misaki/training"
_LIMITS = {"max_tokens": 512, "max_messages": 40, "max_input_chars": 2_000}


class ServedModel:
    """A served model behind the worker's handler. Also calls the engine's API directly."""

    def __init__(self, model: str, images: Path, tokenizer_file: Path, engine_url: str, engine: str) -> None:
        self.engine = engine
        self._model = model
        self._url = engine_url
        self._origin = engine_url.removesuffix("/v1")
        self._prompts = Prompts(template_file(images, model), tokenizer_file)
        self._key = Ed25519PrivateKey.generate()
        facts = read_json(images / model / "model.json")
        with tempfile.TemporaryDirectory() as folder:
            version = Path(folder) / "version.json"
            version.write_text(json.dumps({"version": "candidate"}), encoding="utf-8")
            self.settings = read_settings(
                {
                    "MODEL": model,
                    "CONTEXT_TOKENS": str(facts["contextTokens"]),
                    "MAX_CONCURRENCY": str(facts["maxConcurrency"]),
                    "TICKET_ISSUER": _ISSUER,
                    "TICKET_JWKS": json.dumps({"keys": [self._public_key()]}),
                    "MODEL_VERSION_FILE": str(version),
                    "ENGINE_BASE_URL": engine_url,
                    "TOKENIZER_FILE": str(tokenizer_file),
                    "CHAT_TEMPLATE_FILE": str(template_file(images, model)),
                }
            )
            """Settings of the worker."""
        self._handler: Handler = make_handler(self.settings, Engine(engine_url))

    async def prompt_tokens(self) -> dict[str, PromptTokens]:
        """Returns the tokens of each probe from the tokenizer and from the server."""
        found = {}
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_LIMIT_S)) as self._session:
            for name, messages in probes().items():
                server = await self._server_tokens(messages)
                chat = {"model": self._model, "messages": messages, "max_tokens": 1}
                counted = (await self._post("/v1/chat/completions", chat))["usage"]["prompt_tokens"]
                found[name] = PromptTokens(self._prompts.prompt_ids(messages), server, counted)
        return found

    async def reply(self, prompt: PersonaPrompt, max_tokens: int) -> PersonaReply:
        """Sends a prompt as a job and returns the worker's reply."""
        done = await self._run(prompt.messages, max_tokens)
        failed = "error" in done
        return PersonaReply(
            id=prompt.id,
            kind=prompt.kind,
            language=prompt.language,
            prompt=prompt.messages[-1]["content"],
            text="" if failed else done["text"],
            finish_reason=json.loads(done["error"])["error"]["code"] if failed else done["finish_reason"],
        )

    async def speed(self, chats: int, max_tokens: int) -> Speed:
        """Runs one chat to fill the prefix cache, and then rounds of `chats` concurrent chats."""
        messages: list[Message] = [{"role": "user", "content": "こんばんは"}]
        await self._run(messages, max_tokens)
        done: list[dict[str, Any]] = []
        for _ in range(_ROUNDS):
            replies = await asyncio.gather(*(self._run(messages, max_tokens) for _ in range(chats)))
            if failed := sum("error" in reply for reply in replies):
                raise TrainingError(f"{failed} of {chats} concurrent chats failed: the engine is too slow or has ended")
            done += replies
        first = statistics.median(reply["timings"]["ttft_ms"] for reply in done)
        rate = statistics.median(map(tokens_per_second, done))
        return Speed(first_text_ms=round(first, 1), tokens_per_second=round(rate, 1))

    async def _run(self, messages: Sequence[Message], max_tokens: int) -> dict[str, Any]:
        """Runs a job and returns its final item."""
        params = {"max_tokens": max_tokens, "seed": 7}
        job_input = {"ticket": self._ticket(), "messages": list(messages), "params": params}
        items = [item async for item in self._handler({"id": "measure", "input": job_input})]
        last = items[-1]
        if not isinstance(last, dict):
            raise TrainingError("the worker returned no result")
        return last

    async def _server_tokens(self, messages: Sequence[Message]) -> list[int]:
        if self.engine == "vllm":
            answer = await self._post("/tokenize", {"model": self._model, "messages": messages})
        else:
            prompt = (await self._post("/apply-template", {"messages": messages}))["prompt"]
            # llama.cpp reads the prompt of a chat with the same options.
            answer = await self._post("/tokenize", {"content": prompt, "add_special": True, "parse_special": True})
        return [int(token) for token in answer["tokens"]]

    async def _post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        async with self._session.post(f"{self._origin}{path}", json=body) as response:
            if response.status != 200:
                raise TrainingError(f"{self._origin}{path} returned HTTP {response.status}: is it {self.engine}?")
            value: dict[str, Any] = await response.json()
            return value

    def _public_key(self) -> dict[str, Any]:
        return {
            **OKPAlgorithm.to_jwk(self._key.public_key(), as_dict=True),
            "kid": "measure",
            "alg": "EdDSA",
            "use": "sig",
        }

    def _ticket(self) -> str:
        now_s = int(time.time())
        claims = {
            "iss": _ISSUER,
            "sub": "training",
            "aud": self._model,
            "plan": MODEL_PLANS[self._model],
            "limits": _LIMITS,
            "iat": now_s,
            "exp": now_s + 3_600,
            "jti": str(now_s),
        }
        return jwt.encode(claims, self._key, algorithm="EdDSA", headers={"kid": "measure", "typ": "snack-ticket+jwt"})


def tokens_per_second(reply: Mapping[str, Any]) -> float:
    """
    Returns the speed of a reply after its first text. So the speed depends neither on the length of the reply nor on
    the time until the first text.
    """
    timings = reply["timings"]
    # The worker's times are whole milliseconds.
    after_first_ms = max(1, timings["total_ms"] - timings["ttft_ms"])
    return float(1_000 * (reply["usage"]["completion_tokens"] - 1) / after_first_ms)


async def measure(
    served: ServedModel,
    prompts: Sequence[PersonaPrompt],
    *,
    max_tokens: int = 256,
    at_once: int = 8,
    chats: Sequence[int] = CHATS,
) -> Measurements:
    """Measures everything that needs only the candidate's engine."""
    tokens = await served.prompt_tokens()
    places = asyncio.Semaphore(at_once)

    async def ask(prompt: PersonaPrompt) -> PersonaReply:
        async with places:
            return await served.reply(prompt, max_tokens)

    replies = list(await asyncio.gather(*map(ask, prompts)))
    speed = {number: await served.speed(number, max_tokens) for number in chats}
    return Measurements(engine=served.engine, prompts=tokens, replies=replies, speed=speed)
