"""
Job loop that replaces `rp_scale.JobScaler` of RunPod's SDK (runpod 1.12 only). `docs/decisions/replaced-job-loop.md`
gives the reasons.

The loop takes one job per request and keeps several requests open while jobs are waiting. The SDK takes a batch of jobs
per request, and loses the whole batch when one job cannot be read.
"""

import asyncio
import importlib
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import aiohttp

from .job_reader import Job, read_job
from .job_run import JobRunner, ReportUrls

log = logging.getLogger(__name__)

# Prefix of the supported SDK versions. The loop uses parts of the SDK that are not public, so another version may
# differ.
KNOWN_SDK = "1.12."

# Interval of the checks for a shutdown.
POLL_S = 0.1
# Time limit of a request for a job. RunPod holds the request while its queue is empty.
TAKE_LIMIT_S = 90
# Minimum delay between two requests without a job. A server may answer such requests without a wait.
EMPTY_DELAY_S = 0.1
# Delays after a failed request. RunPod sends 400 to a worker that FlashBoot has just revived.
ERROR_DELAY_S = 1.0
STATUS_DELAYS_S = {400: EMPTY_DELAY_S, 429: 5.0}

# A request that took longer than this number of seconds was waiting at an empty queue.
BACKLOG_S = 1
# Factor by which the number of open requests grows while jobs are waiting.
GROWTH = 4

Take = Callable[[], Awaitable[Job | None]]
"""Requests a job. Returns None when the queue is empty."""


@dataclass(frozen=True)
class _Taken:
    job: Job | None = None
    has_backlog: bool = False
    """Whether the job was already in the queue at the time of the request. If true, more jobs may be waiting."""


class JobLoop:
    """
    Takes jobs and runs at most `capacity` of them at a time. `running` contains the task of each running job by the
    job's id. `on_end` gets the id of every ended job, even when the job was stopped before its first step.
    """

    def __init__(
        self,
        take: Take,
        run: Callable[[Job], Awaitable[None]],
        capacity: int,
        on_end: Callable[[str], None] = lambda _job_id: None,
    ) -> None:
        self._take = take
        self._run = run
        self._on_end = on_end
        self._capacity = capacity
        self._queue_empty_s = 0.0
        self.running: dict[str, asyncio.Task[None]] = {}

    async def work(self, is_alive: Callable[[], bool]) -> None:
        """
        Takes and runs jobs while `is_alive` returns true. Then waits for the running jobs and the open requests, and
        also runs the jobs that these requests return.
        """
        requests: set[asyncio.Task[_Taken]] = set()
        most_requests = 1
        while (alive := is_alive()) or requests or self.running:
            free = self._capacity - len(self.running) if alive else 0
            while len(requests) < min(most_requests, free):
                requests.add(asyncio.create_task(self._request()))
            # A free slot always has an open request. Without a free slot, the next event is the end of a job.
            done, _ = await asyncio.wait(
                [*requests, *self.running.values()], timeout=POLL_S, return_when=asyncio.FIRST_COMPLETED
            )
            for request in requests & done:
                requests.discard(request)
                taken = request.result()
                if taken.job:
                    self._start(taken.job)
                most_requests = min(GROWTH * most_requests, self._capacity) if taken.has_backlog else 1

    async def _request(self) -> _Taken:
        """Requests a job. After an error, logs the error, waits, and returns no job."""
        start_s = time.monotonic()
        try:
            async with asyncio.timeout(TAKE_LIMIT_S):
                job = await self._take()
        except TimeoutError:
            return _Taken()
        except Exception as error:
            # Only the type is logged, because the text may contain a customer's message.
            status = error.status if isinstance(error, aiohttp.ClientResponseError) else 0
            log.warning("no job could be taken: %s", f"HTTP {status}" if status else type(error).__name__)
            await asyncio.sleep(STATUS_DELAYS_S.get(status, ERROR_DELAY_S))
            return _Taken()
        waited_s = time.monotonic() - start_s
        has_backlog = job is not None and waited_s < BACKLOG_S
        if not has_backlog:
            self._queue_empty_s = time.time() - BACKLOG_S
        if job is None:
            await asyncio.sleep(EMPTY_DELAY_S - waited_s)
        else:
            job["submitted_after_s"] = self._queue_empty_s
        return _Taken(job, has_backlog)

    def _start(self, job: Job) -> None:
        def end(_task: asyncio.Task[None]) -> None:
            self.running.pop(job["id"], None)
            self._on_end(job["id"])

        task = asyncio.create_task(self._run_to_end(job))
        # A `finally` in the task is not enough, because a task that is cancelled before its first step runs no code.
        task.add_done_callback(end)
        self.running[job["id"]] = task

    async def _run_to_end(self, job: Job) -> None:
        try:
            await self._run(job)
        except asyncio.CancelledError:
            log.info("job %s: stopped", job["id"])
        except Exception as error:
            log.error("job %s: %s", job["id"], type(error).__name__)


async def take_job(session: aiohttp.ClientSession, url: str) -> Job | None:
    """
    Requests one job from RunPod. Returns None when RunPod's queue is empty. Raises aiohttp.ClientError, or ValueError
    for a response without a job.
    """
    # Requests no compression: a compressed body could be much larger than the bytes that arrive.
    async with session.get(url, headers={"Accept-Encoding": "identity"}) as response:
        if response.status == 204:
            return None
        response.raise_for_status()
        job = await read_job(response.content)
        # Closes the connection if some of the body was not read.
        if not response.content.at_eof():
            response.close()
        return job


def install_job_loop() -> None:
    """Makes the SDK use our job loop. Raises RuntimeError for an unsupported SDK version."""
    if not (sdk := version("runpod")).startswith(KNOWN_SDK):
        raise RuntimeError(f"the worker supports runpod {KNOWN_SDK}x, got {sdk}: install requirements.lock")
    rp_scale: Any = importlib.import_module("runpod.serverless.modules.rp_scale")
    rp_http: Any = importlib.import_module("runpod.serverless.modules.rp_http")
    rp_job: Any = importlib.import_module("runpod.serverless.modules.rp_job")

    class JobScaler(rp_scale.JobScaler):  # type: ignore[misc]
        async def get_jobs(self, session: aiohttp.ClientSession) -> None:
            """Takes and runs jobs until the shutdown."""
            runner = JobRunner(self.config["handler"], ReportUrls(rp_http.JOB_STREAM_URL, rp_http.JOB_DONE_URL))

            async def take() -> Job | None:
                job = await take_job(session, rp_job._job_get_url())
                if job:
                    # From now on, the SDK's pings contain the job's id.
                    self.job_progress.add(job["id"])
                return job

            loop = JobLoop(
                take,
                lambda job: runner.run(session, job),
                self.concurrency_modifier(1),
                on_end=self.job_progress.remove,
            )
            # The SDK's stop signals cancel these tasks.
            self.jobs_tasks = loop.running
            await loop.work(self.is_alive)

        async def run_jobs(self, session: aiohttp.ClientSession) -> None:
            """Does nothing, because `get_jobs` also runs the jobs."""

    rp_scale.JobScaler = JobScaler
