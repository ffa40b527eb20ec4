"""
Job loop that replaces `rp_scale.JobScaler` of RunPod's SDK (runpod 1.12 only).

The SDK's loop polls. Ten times a second it looks for fetched jobs that it can start. Once a second it looks for free
capacity. On average this delays every first text by 50 ms and leaves a busy GPU idle for half a second after every
reply. Our loop waits for events instead of polling.

After SIGTERM the SDK's loop waits up to 90 s for its open request for jobs, but drops the jobs that this request
returns. Our loop runs those jobs.
"""

import asyncio
import importlib
import logging
from importlib.metadata import version
from typing import Any

log = logging.getLogger(__name__)

# Prefix of the SDK versions that our loop supports. Other versions may differ, because the SDK's loop is not part of
# its public API.
KNOWN_SDK = "1.12."

# Interval of the checks for a shutdown.
POLL_S = 0.1


def install_job_loop() -> None:
    """Makes the SDK start each job on arrival and request the next one as soon as there is capacity."""
    if not (sdk := version("runpod")).startswith(KNOWN_SDK):
        log.warning("our faster job loop does not support runpod %s; the slower job loop of runpod is used", sdk)
        return
    rp_scale: Any = importlib.import_module("runpod.serverless.modules.rp_scale")

    class JobScaler(rp_scale.JobScaler):  # type: ignore[misc]
        is_fetching = True

        async def set_scale(self) -> None:
            """Waits until there is capacity for a job. The SDK calls this before it requests jobs."""
            await super().set_scale()
            while self.is_alive() and self.current_occupancy() >= self.current_concurrency:
                # When there are no tasks, the jobs that fill the capacity have been fetched but have not started yet.
                if self.jobs_tasks:
                    await asyncio.wait(self.jobs_tasks.values(), timeout=POLL_S, return_when=asyncio.FIRST_COMPLETED)
                else:
                    await asyncio.sleep(0.001)

        async def get_jobs(self, session: Any) -> None:
            """Fetches jobs until the shutdown. A request that is open at the shutdown still delivers its jobs."""
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
