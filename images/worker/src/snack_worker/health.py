"""
The engine's health: it loads weights for a minute or more before it can answer, and may be lost later.

Both waits ask `ended` for the end of the engine's process: None while it runs or is not ours to know.
"""

import asyncio
from collections.abc import Callable

import aiohttp

POLL_S = 0.25
REQUEST_S = 5

# A health page that stays silent this often in a row is that of an engine which hangs.
SILENT_LOOKS = 3

Ended = Callable[[], str | None]


class EngineNotReadyError(Exception):
    """The engine did not become healthy; the text says why or what was seen last."""


async def wait_until_healthy(url: str, limit_s: float, ended: Ended = lambda: None) -> float:
    """
    Seconds until `url` answered with anything but a server error: vLLM and llama.cpp answer 503 while they load, and
    an engine without a health page (Ollama) answers 404. Raises EngineNotReadyError after `limit_s`, or as soon as the
    engine has ended.
    """
    clock = asyncio.get_running_loop().time
    start_s = clock()
    async with _session(REQUEST_S) as session:
        while True:
            seen = await _look(session, url)
            if seen is None:
                return clock() - start_s
            if how := ended():
                raise EngineNotReadyError(f"the engine {how} before it was ready")
            if clock() - start_s >= limit_s:
                raise EngineNotReadyError(f"the engine at {url} was not ready within {limit_s:g} s (last: {seen})")
            await asyncio.sleep(POLL_S)


async def wait_until_lost(url: str, every_s: float, ended: Ended) -> str:
    """
    Waits until a healthy engine has ended or hangs, and says which. It hangs when `url`, asked every `every_s` seconds
    and given as long to answer, was silent or answered with a server error three times in a row.
    """
    clock = asyncio.get_running_loop().time
    silent = 0
    look_at_s = clock() + every_s
    async with _session(every_s) as session:
        while True:
            await asyncio.sleep(POLL_S)
            if how := ended():
                return f"the engine {how}"
            if clock() < look_at_s:
                continue
            seen = await _look(session, url)
            silent = silent + 1 if seen else 0
            if silent == SILENT_LOOKS:
                return f"the engine hangs: no answer from its health page, {silent} times in a row (last: {seen})"
            look_at_s = clock() + every_s


def _session(timeout_s: float) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=timeout_s))


async def _look(session: aiohttp.ClientSession, url: str) -> str | None:
    """None when the engine answers, otherwise what was seen instead."""
    try:
        async with session.get(url) as response:
            return None if response.status < 500 else f"HTTP {response.status}"
    except (aiohttp.ClientError, TimeoutError) as error:
        return type(error).__name__
