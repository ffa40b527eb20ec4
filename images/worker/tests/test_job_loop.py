"""The SDK's job loop, with its pauses made endless: what waits for one of them never ends."""

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
    """A job loop without a network: jobs come from `arriving`, and each runs until it is let go."""

    def __init__(self, concurrency: int) -> None:
        load_sdk()
        rp_scale: Any = importlib.import_module("runpod.serverless.modules.rp_scale")
        self.arriving: asyncio.Queue[str] = asyncio.Queue()
        self.started: asyncio.Queue[str] = asyncio.Queue()
        self.go: dict[str, asyncio.Event] = {}
        self.scaler = rp_scale.JobScaler({"concurrency_modifier": lambda _current: concurrency})
        self.scaler.jobs_fetcher = self._fetch
        self.scaler.jobs_handler = self._handle
        self.scaler.stop_signals_fetcher = self._fetch_stops

    async def next(self) -> str:
        """The job that starts next."""
        return await asyncio.wait_for(self.started.get(), LIMIT_S)

    async def _fetch(self, _session: Any, _count: int) -> list[Mapping[str, str]]:
        return [{"id": await self.arriving.get()}]

    async def _fetch_stops(self, _session: Any) -> list[str]:
        await asyncio.Event().wait()
        return []

    async def _handle(self, _session: Any, _config: Any, job: Mapping[str, str]) -> None:
        self.go[job["id"]] = asyncio.Event()
        await self.started.put(job["id"])
        await self.go[job["id"]].wait()


@pytest.fixture
def _endless_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    load_sdk()
    rp_scale: Any = importlib.import_module("runpod.serverless.modules.rp_scale")

    async def sleep(seconds: float) -> None:
        await (asyncio.Event().wait() if seconds else asyncio.sleep(0))

    monkeypatch.setattr(job_loop, "POLL_S", 60)
    monkeypatch.setattr(rp_scale, "asyncio", SimpleNamespace(**{**vars(asyncio), "sleep": sleep}))


@pytest.mark.usefixtures("_endless_pauses")
async def test_a_job_starts_when_it_arrives_also_beside_others() -> None:
    loop = _Loop(concurrency=2)
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(loop.scaler.run())
        for job in ("first", "second"):
            await loop.arriving.put(job)
            assert await loop.next() == job
        running.cancel()


@pytest.mark.usefixtures("_endless_pauses")
async def test_as_many_run_as_may() -> None:
    loop = _Loop(concurrency=3)
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(loop.scaler.run())
        for job in ("first", "second", "third", "fourth"):
            await loop.arriving.put(job)
        assert [await loop.next() for _ in range(3)] == ["first", "second", "third"]
        running.cancel()


@pytest.mark.usefixtures("_endless_pauses")
async def test_a_full_worker_takes_no_more_until_one_has_ended_and_then_at_once() -> None:
    loop = _Loop(concurrency=1)
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(loop.scaler.run())
        for job in ("first", "second"):
            await loop.arriving.put(job)
        assert await loop.next() == "first"
        await asyncio.sleep(0.05)
        assert loop.arriving.qsize() == 1
        loop.go["first"].set()
        assert await loop.next() == "second"
        running.cancel()


async def test_a_worker_that_is_to_end_finishes_what_it_has_and_what_it_has_asked_for() -> None:
    loop = _Loop(concurrency=2)
    async with asyncio.TaskGroup() as tasks:
        taking = tasks.create_task(loop.scaler.get_jobs(None))
        running = tasks.create_task(loop.scaler.run_jobs(None))
        await loop.arriving.put("first")
        assert await loop.next() == "first"
        # The second is asked for by now.
        await asyncio.sleep(0)
        loop.scaler.kill_worker()
        await asyncio.sleep(0.2)
        assert not taking.done()
        await loop.arriving.put("second")
        assert await loop.next() == "second"
        await asyncio.wait_for(taking, LIMIT_S)
        await asyncio.sleep(0.2)
        assert not running.done()
        for job in ("first", "second"):
            loop.go[job].set()
        await asyncio.wait_for(running, LIMIT_S)


def test_another_sdk_keeps_its_own_job_loop(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    load_sdk()
    rp_scale: Any = importlib.import_module("runpod.serverless.modules.rp_scale")
    before = rp_scale.JobScaler
    monkeypatch.setattr(job_loop, "KNOWN_SDK", "1.13.")
    job_loop.without_pauses()
    assert rp_scale.JobScaler is before
    assert "left as it is" in caplog.text
