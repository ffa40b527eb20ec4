"""
RunPod's job loop (`rp_scale.JobScaler` of runpod 1.12, the only version this is done to) without its pauses. The SDK
looks ten times a second whether there is a job to start, and once a second whether a full worker has room again: that
would be the twentieth of a second before every first text, and half a second of an idle GPU after every reply of a busy
worker. And without its loss: a worker that is to end still waits for its open request for jobs, up to 90 s, and the SDK
drops what comes of it.
"""

import asyncio
import importlib
import logging
from importlib.metadata import version
from typing import Any

log = logging.getLogger(__name__)

# The loop is no public part of the SDK: another version may have another one.
KNOWN_SDK = "1.12."

# How often it is looked whether the worker is to end.
POLL_S = 0.1


def without_pauses() -> None:
    """Makes the SDK start each job when it arrives, and ask for the next one when there is room for it."""
    if not (sdk := version("runpod")).startswith(KNOWN_SDK):
        log.warning("runpod %s: its job loop is left as it is, with its pauses", sdk)
        return
    rp_scale: Any = importlib.import_module("runpod.serverless.modules.rp_scale")

    class JobScaler(rp_scale.JobScaler):  # type: ignore[misc]
        takes_jobs = True

        async def set_scale(self) -> None:
            """The SDK calls this before it asks for jobs. Here it also waits until there is room for one."""
            await super().set_scale()
            while self.is_alive() and self.current_occupancy() >= self.current_concurrency:
                # Without a task the job is about to start.
                if self.jobs_tasks:
                    await asyncio.wait(self.jobs_tasks.values(), timeout=POLL_S, return_when=asyncio.FIRST_COMPLETED)
                else:
                    await asyncio.sleep(0.001)

        async def get_jobs(self, session: Any) -> None:
            """Takes jobs until the worker is to end, and then those that its last request is still given."""
            try:
                await super().get_jobs(session)
            finally:
                self.takes_jobs = False

        async def run_jobs(self, session: Any) -> None:
            """Starts the jobs that were taken, until no more are and all are done."""
            while self.takes_jobs or not self.jobs_queue.empty():
                try:
                    async with asyncio.timeout(POLL_S):
                        job = await self.jobs_queue.get()
                except TimeoutError:
                    continue
                self.jobs_tasks[job["id"]] = asyncio.create_task(self.handle_job(session, job))
            await asyncio.gather(*self.jobs_tasks.values(), return_exceptions=True)

    rp_scale.JobScaler = JobScaler
