"""
Job loop that replaces `rp_scale.JobScaler` of RunPod's SDK (runpod 1.12 only).

The SDK checks for a job to start ten times a second, and for free capacity once a second. On average this delays every
first text by 50 ms and leaves a busy GPU idle for half a second after every reply. This loop waits for events instead.

After SIGTERM the SDK waits up to 90 s for its open request for jobs and then drops the jobs it receives. This loop runs
them.
"""

import asyncio
import importlib
import logging
from importlib.metadata import version
from typing import Any

log = logging.getLogger(__name__)

# The loop is not part of the SDK's public API, so other versions may differ.
KNOWN_SDK = "1.12."

# Interval of the checks for a shutdown.
POLL_S = 0.1


def install_job_loop() -> None:
    """Makes the SDK start each job on arrival and request the next one as soon as there is capacity."""
    if not (sdk := version("runpod")).startswith(KNOWN_SDK):
        log.warning("runpod %s is not a known version: it keeps its own, slower job loop", sdk)
        return
    rp_scale: Any = importlib.import_module("runpod.serverless.modules.rp_scale")

    class JobScaler(rp_scale.JobScaler):  # type: ignore[misc]
        is_fetching = True

        async def set_scale(self) -> None:
            """Waits until there is capacity for a job. The SDK calls this before it requests jobs."""
            await super().set_scale()
            while self.is_alive() and self.current_occupancy() >= self.current_concurrency:
                # No task yet: the job that takes the last free place was fetched but has not started.
                if self.jobs_tasks:
                    await asyncio.wait(self.jobs_tasks.values(), timeout=POLL_S, return_when=asyncio.FIRST_COMPLETED)
                else:
                    await asyncio.sleep(0.001)

        async def get_jobs(self, session: Any) -> None:
            """Fetches jobs until the shutdown, including the jobs of the request that is open then."""
            try:
                await super().get_jobs(session)
            finally:
                self.is_fetching = False

        async def run_jobs(self, session: Any) -> None:
            """Starts the fetched jobs. Returns when fetching has ended and all jobs are done."""
            while self.is_fetching or not self.jobs_queue.empty():
                try:
                    async with asyncio.timeout(POLL_S):
                        job = await self.jobs_queue.get()
                except TimeoutError:
                    continue
                self.jobs_tasks[job["id"]] = asyncio.create_task(self.handle_job(session, job))
            await asyncio.gather(*self.jobs_tasks.values(), return_exceptions=True)

    rp_scale.JobScaler = JobScaler
