"""Reports of items and results to RunPod's platform, on real sockets."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

import aiohttp
import pytest

from snack_worker.dialect import Item
from snack_worker.job_reader import Job
from snack_worker.job_run import JobRunner, ReportLimits, ReportUrls

from .runpod_platform import Platform, running_platform

_ITEMS: list[Item] = [{"delta": "あら、"}, {"done": True, "text": "あら、"}]
_LIMITS = ReportLimits(attempt_s=0.5, item_s=1, result_s=1, error_s=1)


@pytest.fixture
async def platform(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Platform]:
    monkeypatch.setattr("snack_worker.job_run.FIRST_DELAY_S", 0.01)
    async with running_platform() as running:
        yield running


async def _handler(_job: Job) -> AsyncGenerator[Item]:
    for item in _ITEMS:
        yield item


async def _run(platform: Platform, handler: Any = _handler) -> None:
    env = platform.environment()
    item, result = (
        env[name].replace("$RUNPOD_POD_ID", "w1")
        for name in ("RUNPOD_WEBHOOK_POST_STREAM", "RUNPOD_WEBHOOK_POST_OUTPUT")
    )
    async with aiohttp.ClientSession() as session:
        await JobRunner(handler, ReportUrls(item, result), _LIMITS).run(session, {"id": "job-1", "input": {}})


async def test_runner_sends_each_item_and_then_all_items_as_the_result(platform: Platform) -> None:
    await _run(platform)
    assert platform.streamed == {"job-1": [{"output": item} for item in _ITEMS]}
    assert platform.done.get_nowait() == ("job-1", "true", {"output": _ITEMS})


async def test_runner_sends_the_error_of_a_failed_job_as_the_result(platform: Platform) -> None:
    async def handler(_job: Job) -> AsyncGenerator[Item]:
        yield _ITEMS[0]
        yield {"error": "{}"}
        raise AssertionError("the job has ended")

    await _run(platform, handler)
    assert platform.streamed == {"job-1": [{"output": _ITEMS[0]}]}
    assert platform.done.get_nowait() == ("job-1", "true", {"error": "{}"})


@pytest.mark.parametrize("statuses", [[500] * 5, [502, 429, 503, 408, 504]], ids=["500", "several statuses"])
async def test_runner_repeats_a_report_until_runpod_accepts_it(platform: Platform, statuses: list[int]) -> None:
    platform.report_statuses = [*statuses, 200] * 3
    await _run(platform)
    assert platform.streamed == {"job-1": [{"output": item} for item in _ITEMS]}
    assert platform.done.get_nowait() == ("job-1", "true", {"output": _ITEMS})


_INTERNAL = {"code": "internal", "message": "Something went wrong on our side. Try again.", "retryable": True}


@pytest.mark.parametrize(
    "statuses",
    [[200, 200, 400], [200, 200, 413], [200, 200, *[500] * 200], [400], [500] * 200],
    ids=["result refused", "result too large", "result never accepted", "item refused", "item never accepted"],
)
async def test_runner_sends_an_error_when_runpod_does_not_accept_an_item_or_the_result(
    platform: Platform, statuses: list[int]
) -> None:
    platform.report_statuses = statuses
    running = asyncio.create_task(_run(platform))
    await asyncio.sleep(1.5)
    # RunPod accepts reports again.
    platform.report_statuses = []
    await running
    job, is_stream, body = platform.done.get_nowait()
    assert (job, is_stream, list(body)) == ("job-1", "true", ["error"])
    assert json.loads(body["error"])["error"] == _INTERNAL
    assert platform.done.empty()


async def test_runner_gives_up_and_logs_the_reason_when_runpod_never_accepts_the_error(
    platform: Platform, caplog: pytest.LogCaptureFixture
) -> None:
    platform.report_statuses = [500] * 1_000
    await _run(platform)
    assert platform.done.empty()
    assert "job job-1: RunPod did not accept the error: HTTP 500, for 1 s" in caplog.text


async def test_runner_repeats_a_report_when_runpod_does_not_answer(caplog: pytest.LogCaptureFixture) -> None:
    async with running_platform() as closed:
        pass
    await _run(closed)
    assert "RunPod did not accept a report (ClientConnectorError); trying again" in caplog.text
    assert "job job-1: RunPod did not accept the error: ClientConnectorError, for 1 s" in caplog.text


async def test_runner_closes_the_handler_when_the_job_is_cancelled(platform: Platform) -> None:
    started, closed = asyncio.Event(), asyncio.Event()

    async def handler(_job: Job) -> AsyncGenerator[Item]:
        try:
            started.set()
            await asyncio.sleep(60)
            yield _ITEMS[0]
        finally:
            closed.set()

    running = asyncio.create_task(_run(platform, handler))
    await started.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert closed.is_set()
    assert platform.done.empty()
