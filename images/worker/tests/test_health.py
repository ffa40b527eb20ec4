import asyncio

import pytest

from snack_worker.health import EngineNotReadyError, wait_until_healthy, wait_until_lost

from .stub_engine import StubEngine


def _health_url(engine: StubEngine) -> str:
    return engine.base_url.removesuffix("/v1") + "/health"


@pytest.mark.parametrize("status", [200, 404])
async def test_engine_is_healthy_when_its_http_status_is_below_500(engine: StubEngine, status: int) -> None:
    engine.health_status = status
    assert await wait_until_healthy(_health_url(engine), 5) >= 0


async def test_wait_until_healthy_keeps_waiting_while_the_engine_returns_503(engine: StubEngine) -> None:
    engine.health_status = 503
    waiting = asyncio.create_task(wait_until_healthy(_health_url(engine), 10))
    await asyncio.sleep(0.1)
    assert not waiting.done()
    engine.health_status = 200
    await waiting


async def test_wait_until_healthy_raises_an_error_with_the_last_problem_after_the_time_limit(
    engine: StubEngine,
) -> None:
    engine.health_status = 503
    with pytest.raises(EngineNotReadyError, match="HTTP 503"):
        await wait_until_healthy(_health_url(engine), 0.1)
    with pytest.raises(EngineNotReadyError, match="ConnectorError"):
        await wait_until_healthy("http://127.0.0.1:1/health", 0.1)


async def test_wait_until_healthy_raises_an_error_when_the_engine_exits(engine: StubEngine) -> None:
    engine.health_status = 503
    with pytest.raises(EngineNotReadyError, match=r"^the engine exited with code 1 before it was ready$"):
        await wait_until_healthy(_health_url(engine), 600, lambda: "exited with code 1")


async def test_wait_until_lost_returns_the_reason_when_the_engine_exits(engine: StubEngine) -> None:
    assert (
        await wait_until_lost(_health_url(engine), 600, lambda: "was killed by SIGKILL")
        == "the engine was killed by SIGKILL"
    )


async def test_wait_until_lost_reports_a_hanging_engine_after_three_consecutive_failed_checks(
    engine: StubEngine,
) -> None:
    engine.health_statuses = [503, 503, 200, 503, 503, 503]
    reason = await wait_until_lost(_health_url(engine), 0.01, lambda: None)
    assert reason == "the engine hangs: its health check failed 3 times in a row (last check: HTTP 503)"
    assert engine.health_statuses == []
