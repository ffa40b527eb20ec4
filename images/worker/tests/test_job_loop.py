"""Tests of our job loop. Most of them make the SDK's sleeps endless, so that a test which depends on a sleep hangs."""

import asyncio
import importlib
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest

from snack_worker import job_loop
from snack_worker.sdk import load_sdk

LIMIT_S = 5


class _Loop:
    """A job loop without network. Its jobs come from `queue`, and each one runs until its event in `finish` is set."""

    def __init__(self, concurrency: int) -> None:
        load_sdk()
        rp_scale: Any = importlib.import_module("runpod.serverless.modules.rp_scale")
        self.queue: asyncio.Queue[str] = asyncio.Queue()
        self.started: asyncio.Queue[str] = asyncio.Queue()
        self.finish: dict[str, asyncio.Event] = {}
        self.scaler = rp_scale.JobScaler({"concurrency_modifier": lambda _current: concurrency})
        self.scaler.jobs_fetcher = self._fetch
        self.scaler.jobs_handler = self._handle
        self.scaler.stop_signals_fetcher = self._fetch_stops

    async def next_started(self) -> str:
        """Waits for the next start of a job and returns the job's id."""
        return await asyncio.wait_for(self.started.get(), LIMIT_S)

    async def _fetch(self, _session: Any, _count: int) -> list[Mapping[str, str]]:
        return [{"id": await self.queue.get()}]

    async def _fetch_stops(self, _session: Any) -> list[str]:
        await asyncio.Event().wait()
        return []

    async def _handle(self, _session: Any, _config: Any, job: Mapping[str, str]) -> None:
        self.finish[job["id"]] = asyncio.Event()
        await self.started.put(job["id"])
        await self.finish[job["id"]].wait()


@pytest.fixture
def _endless_sleeps(monkeypatch: pytest.MonkeyPatch) -> None:
    load_sdk()
    rp_scale: Any = importlib.import_module("runpod.serverless.modules.rp_scale")

    async def sleep(seconds: float) -> None:
        await (asyncio.Event().wait() if seconds else asyncio.sleep(0))

    monkeypatch.setattr(job_loop, "POLL_S", 60)
    monkeypatch.setattr(rp_scale, "asyncio", SimpleNamespace(**{**vars(asyncio), "sleep": sleep}))


@pytest.mark.usefixtures("_endless_sleeps")
async def test_job_loop_starts_a_new_job_at_once_while_another_job_runs() -> None:
    loop = _Loop(concurrency=2)
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(loop.scaler.run())
        for job in ("first", "second"):
            await loop.queue.put(job)
            assert await loop.next_started() == job
        running.cancel()


@pytest.mark.usefixtures("_endless_sleeps")
async def test_job_loop_runs_three_jobs_in_parallel_when_the_concurrency_is_three() -> None:
    loop = _Loop(concurrency=3)
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(loop.scaler.run())
        for job in ("first", "second", "third", "fourth"):
            await loop.queue.put(job)
        assert [await loop.next_started() for _ in range(3)] == ["first", "second", "third"]
        running.cancel()


@pytest.mark.usefixtures("_endless_sleeps")
async def test_job_loop_at_full_capacity_fetches_a_job_only_after_a_running_job_ends() -> None:
    loop = _Loop(concurrency=1)
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(loop.scaler.run())
        for job in ("first", "second"):
            await loop.queue.put(job)
        assert await loop.next_started() == "first"
        await asyncio.sleep(0.05)
        assert loop.queue.qsize() == 1
        loop.finish["first"].set()
        assert await loop.next_started() == "second"
        running.cancel()


async def test_job_loop_finishes_running_and_already_requested_jobs_before_it_shuts_down() -> None:
    loop = _Loop(concurrency=2)
    async with asyncio.TaskGroup() as tasks:
        fetching = tasks.create_task(loop.scaler.get_jobs(None))
        running = tasks.create_task(loop.scaler.run_jobs(None))
        await loop.queue.put("first")
        assert await loop.next_started() == "first"
        # Lets the loop open its request for the second job.
        await asyncio.sleep(0)
        loop.scaler.kill_worker()
        await asyncio.sleep(0.2)
        assert not fetching.done()
        await loop.queue.put("second")
        assert await loop.next_started() == "second"
        await asyncio.wait_for(fetching, LIMIT_S)
        await asyncio.sleep(0.2)
        assert not running.done()
        for job in ("first", "second"):
            loop.finish[job].set()
        await asyncio.wait_for(running, LIMIT_S)


def test_unsupported_sdk_version_keeps_its_own_job_loop_and_a_warning_is_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    load_sdk()
    rp_scale: Any = importlib.import_module("runpod.serverless.modules.rp_scale")
    before = rp_scale.JobScaler
    monkeypatch.setattr(job_loop, "KNOWN_SDK", "1.13.")
    job_loop.install_job_loop()
    assert rp_scale.JobScaler is before
    assert "the slower job loop of runpod is used" in caplog.text
