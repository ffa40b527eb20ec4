import asyncio
import time
from collections.abc import Mapping

import aiohttp
import pytest

from snack_worker import job_loop
from snack_worker.job_loop import JobLoop
from snack_worker.job_reader import Job
from snack_worker.sdk import load_sdk

LIMIT_S = 5


class _Queue:
    """
    A job loop without network. Its jobs come from `waiting`, and each job runs until its event in `finish` is set. A
    request waits until there is a job, or raises the next error of `errors`.
    """

    def __init__(self, capacity: int) -> None:
        self.waiting: asyncio.Queue[str | None] = asyncio.Queue()
        self.started: asyncio.Queue[Job] = asyncio.Queue()
        self.finish: dict[str, asyncio.Event] = {}
        self.errors: list[Exception] = []
        self.requests = 0
        self.open_requests = 0
        self.is_alive = True
        self.ended: asyncio.Queue[str] = asyncio.Queue()
        self.loop = JobLoop(self._take, self._run, capacity, on_end=self.ended.put_nowait)

    def work(self) -> asyncio.Task[None]:
        return asyncio.create_task(self.loop.work(lambda: self.is_alive))

    async def next_started(self) -> str:
        """Waits for the next start of a job and returns the job's id."""
        return (await asyncio.wait_for(self.started.get(), LIMIT_S))["id"]

    async def _take(self) -> Job | None:
        self.requests += 1
        if self.errors:
            raise self.errors.pop(0)
        self.open_requests += 1
        try:
            job_id = await self.waiting.get()
        finally:
            self.open_requests -= 1
        return {"id": job_id, "input": None} if job_id else None

    async def _run(self, job: Job) -> None:
        self.finish[job["id"]] = asyncio.Event()
        await self.started.put(job)
        await self.finish[job["id"]].wait()


@pytest.fixture
def _rare_polls(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes the loop's polls rare, so that a test that depends on a poll times out."""
    monkeypatch.setattr(job_loop, "POLL_S", 60)


@pytest.mark.usefixtures("_rare_polls")
async def test_job_loop_starts_a_new_job_at_once_while_another_job_runs() -> None:
    queue = _Queue(capacity=2)
    work = queue.work()
    for job in ("first", "second"):
        await queue.waiting.put(job)
        assert await queue.next_started() == job
    work.cancel()


class _CancelAtOnce(dict[str, asyncio.Task[None]]):
    """Cancels each task before its first step, like a stop signal that arrives while its job starts."""

    def __setitem__(self, job_id: str, task: asyncio.Task[None]) -> None:
        super().__setitem__(job_id, task)
        task.cancel()


async def test_job_loop_forgets_a_job_that_is_stopped_before_it_begins() -> None:
    queue = _Queue(capacity=1)
    queue.loop.running = _CancelAtOnce()
    work = queue.work()
    await queue.waiting.put("stopped")
    assert await asyncio.wait_for(queue.ended.get(), LIMIT_S) == "stopped"
    assert not queue.loop.running
    queue.is_alive = False
    await queue.waiting.put(None)
    await asyncio.wait_for(work, LIMIT_S)


@pytest.mark.usefixtures("_rare_polls")
async def test_job_loop_runs_three_jobs_in_parallel_when_the_capacity_is_three() -> None:
    queue = _Queue(capacity=3)
    work = queue.work()
    for job in ("first", "second", "third", "fourth"):
        await queue.waiting.put(job)
    assert {await queue.next_started() for _ in range(3)} == {"first", "second", "third"}
    assert queue.waiting.qsize() == 1
    work.cancel()


@pytest.mark.usefixtures("_rare_polls")
async def test_job_loop_at_full_capacity_requests_a_job_only_after_a_running_job_ends() -> None:
    queue = _Queue(capacity=1)
    work = queue.work()
    for job in ("first", "second"):
        await queue.waiting.put(job)
    assert await queue.next_started() == "first"
    await asyncio.sleep(0.05)
    assert queue.waiting.qsize() == 1
    queue.finish["first"].set()
    assert await queue.next_started() == "second"
    work.cancel()


async def test_job_loop_keeps_one_request_open_while_the_queue_is_empty() -> None:
    queue = _Queue(capacity=32)
    work = queue.work()
    for _ in range(3):
        await queue.waiting.put(None)
        # The next request opens after the delay. A busy machine needs longer.
        for _ in range(100):
            await asyncio.sleep(job_loop.EMPTY_DELAY_S + 0.05)
            if queue.open_requests > 0:
                break
        assert queue.open_requests == 1
    work.cancel()


@pytest.mark.usefixtures("_rare_polls")
async def test_job_loop_takes_32_waiting_jobs_with_a_growing_number_of_open_requests() -> None:
    queue = _Queue(capacity=32)
    for index in range(32):
        await queue.waiting.put(str(index))
    work = queue.work()
    assert {await queue.next_started() for _ in range(32)} == {str(index) for index in range(32)}
    assert queue.requests == 32
    work.cancel()


async def test_shutdown_waits_for_running_jobs_and_for_requested_jobs() -> None:
    queue = _Queue(capacity=2)
    work = queue.work()
    await queue.waiting.put("first")
    assert await queue.next_started() == "first"
    # Lets the loop open its request for the second job.
    await asyncio.sleep(0)
    queue.is_alive = False
    await asyncio.sleep(0.2)
    await queue.waiting.put("second")
    assert await queue.next_started() == "second"
    await asyncio.sleep(0.2)
    assert not work.done()
    for job in ("first", "second"):
        queue.finish[job].set()
    await asyncio.wait_for(work, LIMIT_S)
    assert queue.open_requests == 0


async def test_job_loop_stops_only_the_cancelled_job() -> None:
    queue = _Queue(capacity=2)
    work = queue.work()
    for job in ("first", "second"):
        await queue.waiting.put(job)
        await queue.next_started()
    queue.loop.running["first"].cancel()
    await asyncio.sleep(0.05)
    assert list(queue.loop.running) == ["second"]
    work.cancel()


def _http_error(status: int) -> aiohttp.ClientResponseError:
    request_info = aiohttp.RequestInfo(None, "GET", {}, None)  # type: ignore[arg-type]
    return aiohttp.ClientResponseError(request_info, (), status=status)


_ERRORS: Mapping[str, Exception] = {
    "HTTP 500": _http_error(500),
    "HTTP 429": _http_error(429),
    "HTTP 400 after FlashBoot": _http_error(400),
    "lost connection": aiohttp.ServerDisconnectedError(),
    "job that cannot be read": ValueError("ひみつ"),
    "unexpected error": RecursionError("ひみつ"),
}


@pytest.mark.parametrize("name", _ERRORS)
async def test_job_loop_takes_the_next_job_after_an_error(
    name: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(job_loop, "ERROR_DELAY_S", 0.01)
    monkeypatch.setattr(job_loop, "STATUS_DELAYS_S", {400: 0.01, 429: 0.01})
    queue = _Queue(capacity=2)
    queue.errors = [_ERRORS[name]]
    work = queue.work()
    await queue.waiting.put("first")
    assert await queue.next_started() == "first"
    assert "ひみつ" not in caplog.text
    work.cancel()


async def test_job_loop_gives_a_job_its_earliest_possible_submission_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job_loop, "BACKLOG_S", 0.2)
    queue = _Queue(capacity=8)
    # The first job was already in the queue, so it can have been submitted at any time.
    await queue.waiting.put("backlog")
    work = queue.work()
    assert (await asyncio.wait_for(queue.started.get(), LIMIT_S))["submitted_after_s"] == 0
    # The open requests were waiting before the second job arrived, so this job is new.
    await asyncio.sleep(0.3)
    arrived_s = time.time()
    await queue.waiting.put("new")
    assert (await asyncio.wait_for(queue.started.get(), LIMIT_S))["submitted_after_s"] >= arrived_s - 0.2
    work.cancel()


def test_unsupported_sdk_version_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job_loop, "KNOWN_SDK", "1.13.")
    with pytest.raises(RuntimeError, match=r"^the worker supports runpod 1\.13\.x, got 1\.12\.0: install"):
        load_sdk()
