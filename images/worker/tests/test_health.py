import asyncio

import pytest

from snack_worker.health import EngineNotReadyError, wait_until_healthy, wait_until_lost

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


async def test_an_engine_that_ends_while_it_loads_is_not_waited_for(engine: StubEngine) -> None:
    engine.health_status = 503
    with pytest.raises(EngineNotReadyError, match=r"^the engine ended with exit code 1 before it was ready$"):
        await wait_until_healthy(_url(engine), 600, lambda: "ended with exit code 1")


async def test_a_healthy_engine_is_lost_when_it_ends(engine: StubEngine) -> None:
    assert await wait_until_lost(_url(engine), 600, lambda: "was ended by SIGKILL") == "the engine was ended by SIGKILL"


async def test_a_health_page_that_fails_three_times_in_a_row_is_that_of_a_lost_engine(engine: StubEngine) -> None:
    engine.health_statuses = [503, 503, 200, 503, 503, 503]
    reason = await wait_until_lost(_url(engine), 0.01, lambda: None)
    assert reason == "the engine hangs: no answer from its health page, 3 times in a row (last: HTTP 503)"
    assert engine.health_statuses == []
