"""RunPod's side of the worker protocol (runpod-python 1.12) on a real socket, for tests with the real SDK."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

from .stub_engine import running


class Platform:
    """
    Returns the jobs in `queue` (some are raw JSON) and records the worker's results. `report_statuses` are the HTTP
    statuses of the next reports (`job-stream` and `job-done`). A report with a status other than 200 is not recorded.
    """

    def __init__(self) -> None:
        self.port = 0
        self.queue: asyncio.Queue[dict[str, Any] | bytes] = asyncio.Queue()
        self.streaming = asyncio.Event()
        self.streamed: dict[str, list[Any]] = {}
        self.done: asyncio.Queue[tuple[str, str, Any]] = asyncio.Queue()
        self.report_statuses: list[int] = []
        self.pinged = asyncio.Event()
        self.unhealthy_reports: list[dict[str, str]] = []
        self.closing = asyncio.Event()

    def environment(self) -> dict[str, str]:
        """Returns the variables that RunPod sets for a worker."""
        base = f"http://127.0.0.1:{self.port}/v2/ep"
        return {
            "RUNPOD_POD_ID": "w1",
            "RUNPOD_ENDPOINT_ID": "ep",
            "RUNPOD_AI_API_KEY": "worker-key",
            "RUNPOD_WEBHOOK_GET_JOB": f"{base}/job-take/$ID?gpu=none",
            "RUNPOD_WEBHOOK_POST_OUTPUT": f"{base}/job-done/$RUNPOD_POD_ID/$ID?gpu=none",
            "RUNPOD_WEBHOOK_POST_STREAM": f"{base}/job-stream/$RUNPOD_POD_ID/$ID?gpu=none",
            "RUNPOD_WEBHOOK_PING": f"{base}/ping/$RUNPOD_POD_ID",
            "RUNPOD_PING_INTERVAL": "1000",
            "RUNPOD_SKIP_AUTO_SYSTEM_CHECKS": "true",
            "RUNPOD_SKIP_GPU_CHECK": "true",
        }

    async def take(self, _request: web.Request) -> web.Response:
        """`GET job-take`: waits up to 5 s for a job, or until the platform closes."""
        waiting = [asyncio.create_task(self.queue.get()), asyncio.create_task(self.closing.wait())]
        finished, pending = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED, timeout=5)
        for task in pending:
            task.cancel()
        if waiting[0] not in finished:
            return web.Response(status=204)
        job = waiting[0].result()
        body = job if isinstance(job, bytes) else json.dumps(job).encode()
        return web.Response(body=body, content_type="application/json")

    async def stop(self, _request: web.Request) -> web.Response:
        """`GET job-stop`: this platform never cancels a job."""
        await asyncio.wait([asyncio.create_task(self.closing.wait())], timeout=5)
        return web.Response(status=204)

    async def stream(self, request: web.Request) -> web.Response:
        """`POST job-stream`. The SDK sends JSON with another content type."""
        if status := self._next_problem():
            return web.Response(status=status)
        self.streamed.setdefault(request.match_info["job"], []).append(json.loads(await request.read()))
        self.streaming.set()
        return web.Response()

    async def finish(self, request: web.Request) -> web.Response:
        """`POST job-done`."""
        if status := self._next_problem():
            return web.Response(status=status)
        await self.done.put((request.match_info["job"], request.query["isStream"], json.loads(await request.read())))
        return web.Response()

    def _next_problem(self) -> int | None:
        status = self.report_statuses.pop(0) if self.report_statuses else 200
        return None if status == 200 else status

    async def ping(self, request: web.Request) -> web.Response:
        """`GET ping`: a heartbeat or an unhealthy report."""
        assert request.headers["Authorization"] == "worker-key"
        if request.query.get("status") == "unhealthy":
            self.unhealthy_reports.append(dict(request.query))
        self.pinged.set()
        return web.Response()


@asynccontextmanager
async def running_platform() -> AsyncIterator[Platform]:
    """Runs a platform."""
    platform = Platform()
    app = web.Application()
    app.add_routes(
        [
            web.get("/v2/ep/job-take/{worker}", platform.take),
            web.get("/v2/ep/job-stop/{worker}", platform.stop),
            web.post("/v2/ep/job-stream/{worker}/{job}", platform.stream),
            web.post("/v2/ep/job-done/{worker}/{job}", platform.finish),
            web.get("/v2/ep/ping/{worker}", platform.ping),
        ]
    )
    async with running(app) as port:
        platform.port = port
        yield platform
