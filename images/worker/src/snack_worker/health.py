"""Waiting for the engine: it loads weights for a minute or more before it can answer."""

import asyncio

import aiohttp

POLL_S = 0.25
REQUEST_S = 5


class EngineNotReadyError(Exception):
    """The engine did not become healthy in time; the text says what was seen last."""


async def wait_until_healthy(url: str, limit_s: float) -> float:
    """
    Seconds until `url` answered with anything but a server error: vLLM and llama.cpp answer 503 while they load, and
    an engine without a health page (Ollama) answers 404. Raises EngineNotReadyError after `limit_s`.
    """
    clock = asyncio.get_running_loop().time
    start_s = clock()
    seen = "nothing"
    timeout = aiohttp.ClientTimeout(total=REQUEST_S)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        while True:
            try:
                async with session.get(url) as response:
                    if response.status < 500:
                        return clock() - start_s
                    seen = f"HTTP {response.status}"
            except (aiohttp.ClientError, TimeoutError) as error:
                seen = type(error).__name__
            if clock() - start_s >= limit_s:
                raise EngineNotReadyError(f"the engine at {url} was not ready within {limit_s:g} s (last: {seen})")
            await asyncio.sleep(POLL_S)
