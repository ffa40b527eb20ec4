"""
Runs one job and reports its items and its result to RunPod. Replaces `rp_job.handle_job` of RunPod's SDK.

The SDK gives up a report after three attempts, or after one attempt when RunPod answers with a status such as 400. An
undelivered item leaves a gap in the stream. Without a result, the customer waits until RunPod's time limit.
"""

import asyncio
import json
import logging
from collections.abc import Mapping
from contextlib import aclosing
from dataclasses import dataclass

import aiohttp

from .dialect import Item
from .errors import WorkerError
from .handler import Handler
from .job_reader import Job

log = logging.getLogger(__name__)

FIRST_DELAY_S = 0.25
MAX_DELAY_S = 4
TRANSIENT_STATUSES = {408, 425, 429}


@dataclass(frozen=True)
class ReportLimits:
    """Time limits of a report with all its attempts, in seconds."""

    attempt_s: float = 10
    item_s: float = 15
    result_s: float = 60
    error_s: float = 60
    """Time limit of the error that replaces an undelivered item or result."""


@dataclass(frozen=True)
class ReportUrls:
    """URLs of RunPod's job API. `$ID` stands for the job's id. Each URL has a query."""

    item: str
    result: str


class UndeliveredError(Exception):
    """RunPod did not accept a report. The text contains the reason."""


class JobRunner:
    """Runs jobs with `handler`."""

    def __init__(self, handler: Handler, urls: ReportUrls, limits: ReportLimits | None = None) -> None:
        self._handler = handler
        self._urls = urls
        self._limits = limits or ReportLimits()

    async def run(self, session: aiohttp.ClientSession, job: Job) -> None:
        """
        Runs a job. When RunPod does not accept an item or the result, the job ends with an error. If RunPod does not
        accept that error, the error is only logged.
        """
        try:
            result = await self._stream(session, job)
            await self._report(session, job, self._urls.result, result, self._limits.result_s)
        except UndeliveredError as error:
            log.error("job %s: RunPod did not accept its result: %s", job["id"], error)
            failure = {"error": WorkerError("internal").to_json()}
            try:
                await self._report(session, job, self._urls.result, failure, self._limits.error_s)
            except UndeliveredError as second:
                log.error("job %s: RunPod did not accept the error: %s", job["id"], second)

    async def _stream(self, session: aiohttp.ClientSession, job: Job) -> Mapping[str, object]:
        """Sends the job's items as they arrive. Returns the result: all items, or the error."""
        sent: list[Item] = []
        async with aclosing(self._handler(job)) as items:
            async for item in items:
                if isinstance(item, dict) and "error" in item:
                    return item
                sent.append(item)
                await self._report(session, job, self._urls.item, {"output": item}, self._limits.item_s)
        return {"output": sent}

    async def _report(
        self, session: aiohttp.ClientSession, job: Job, url: str, body: Mapping[str, object], limit_s: float
    ) -> None:
        """Posts `body` until RunPod accepts it. Raises UndeliveredError after `limit_s`, or when RunPod refuses it."""
        text = json.dumps(body, ensure_ascii=False)
        problem = "no response"
        delay_s = FIRST_DELAY_S
        try:
            async with asyncio.timeout(limit_s):
                while attempt := await self._attempt(session, job["id"], url, text):
                    problem = attempt
                    log.warning("job %s: RunPod did not accept a report (%s); trying again", job["id"], problem)
                    await asyncio.sleep(delay_s)
                    delay_s = min(2 * delay_s, MAX_DELAY_S)
        except TimeoutError as error:
            raise UndeliveredError(f"{problem}, for {limit_s:g} s") from error

    async def _attempt(self, session: aiohttp.ClientSession, job_id: str, url: str, text: str) -> str | None:
        """
        Returns None after a success. Returns the text of a problem that may be temporary. Raises UndeliveredError for
        any other problem.
        """
        try:
            async with session.post(
                url.replace("$ID", job_id) + "&isStream=true",
                data=text,
                # The SDK sends the same headers.
                headers={
                    "charset": "utf-8",
                    "Content-Type": "application/x-www-form-urlencoded",
                    "X-Request-ID": job_id,
                },
                timeout=aiohttp.ClientTimeout(total=self._limits.attempt_s),
            ) as response:
                status = response.status
        except (aiohttp.ClientError, TimeoutError) as error:
            return type(error).__name__
        if status < 400:
            return None
        if status < 500 and status not in TRANSIENT_STATUSES:
            raise UndeliveredError(f"HTTP {status}")
        return f"HTTP {status}"
