"""
Health checks of the engine. The engine loads its weights for a minute or more before it can serve requests. It may exit
or hang later.

`wait_until_healthy` and `wait_until_lost` call `describe_exit` to detect that the engine's process has exited.
`describe_exit` returns a description of the exit. It returns None while the process runs, or when the worker did not
start the engine.
"""

import asyncio
from collections.abc import Callable

import aiohttp

POLL_S = 0.25
REQUEST_LIMIT_S = 5

# Number of consecutive failed health checks after which the engine counts as hanging.
MAX_FAILED_CHECKS = 3

DescribeExit = Callable[[], str | None]


class EngineNotReadyError(Exception):
    """The engine did not become healthy. The text contains the reason."""


async def wait_until_healthy(url: str, limit_s: float, describe_exit: DescribeExit = lambda: None) -> float:
    """
    Waits until a request to `url` returns a status below 500. Returns the waiting time in seconds. vLLM and llama.cpp
    return 503 while they load. Ollama has no health page and returns 404, which counts as healthy. Raises
    EngineNotReadyError after `limit_s`, or when the engine's process has exited.
    """
    clock = asyncio.get_running_loop().time
    start_s = clock()
    async with _session(REQUEST_LIMIT_S) as session:
        while True:
            problem = await _check(session, url)
            if problem is None:
                return clock() - start_s
            if exit_description := describe_exit():
                raise EngineNotReadyError(f"the engine {exit_description} before it was ready")
            if clock() - start_s >= limit_s:
                raise EngineNotReadyError(
                    f"the engine at {url} was not ready within {limit_s:g} s (last check: {problem})"
                )
            await asyncio.sleep(POLL_S)


async def wait_until_lost(url: str, every_s: float, describe_exit: DescribeExit) -> str:
    """
    Waits until a healthy engine has exited or hangs, and returns the reason. The engine counts as hanging after
    MAX_FAILED_CHECKS failed checks in a row. A check runs every `every_s` seconds. It fails on a connection error, on a
    status of 500 or more, or when no response arrives within `every_s` seconds.
    """
    clock = asyncio.get_running_loop().time
    failed = 0
    next_check_s = clock() + every_s
    async with _session(every_s) as session:
        while True:
            await asyncio.sleep(POLL_S)
            if exit_description := describe_exit():
                return f"the engine {exit_description}"
            if clock() < next_check_s:
                continue
            problem = await _check(session, url)
            failed = failed + 1 if problem else 0
            if failed == MAX_FAILED_CHECKS:
                return f"the engine hangs: its health check failed {failed} times in a row (last check: {problem})"
            next_check_s = clock() + every_s


def _session(timeout_s: float) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=timeout_s))


async def _check(session: aiohttp.ClientSession, url: str) -> str | None:
    """Returns None when the engine is healthy, otherwise its status or the type of the error."""
    try:
        async with session.get(url) as response:
            return None if response.status < 500 else f"HTTP {response.status}"
    except (aiohttp.ClientError, TimeoutError) as error:
        return type(error).__name__
