import asyncio

import pytest

from snack_worker.health import EngineNotReadyError, wait_until_healthy

from .stub_engine import StubEngine


def _url(engine: StubEngine) -> str:
    return engine.base_url.removesuffix("/v1") + "/health"


@pytest.mark.parametrize("status", [200, 404])
async def test_an_engine_that_answers_is_ready(engine: StubEngine, status: int) -> None:
    engine.health_status = status
    assert await wait_until_healthy(_url(engine), 5) >= 0


async def test_waits_while_the_engine_loads(engine: StubEngine) -> None:
    engine.health_status = 503
    waiting = asyncio.create_task(wait_until_healthy(_url(engine), 10))
    await asyncio.sleep(0.1)
    assert not waiting.done()
    engine.health_status = 200
    await waiting


async def test_gives_up_after_the_limit_and_says_what_it_saw(engine: StubEngine) -> None:
    engine.health_status = 503
    with pytest.raises(EngineNotReadyError, match="HTTP 503"):
        await wait_until_healthy(_url(engine), 0.1)
    with pytest.raises(EngineNotReadyError, match="ConnectorError"):
        await wait_until_healthy("http://127.0.0.1:1/health", 0.1)
