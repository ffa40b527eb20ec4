"""RunPod's SDK, and what it keeps to itself: the jobs in progress and the report of a worker that is unfit."""

import importlib
import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from types import ModuleType
from typing import Any

import aiohttp

from .job_loop import without_pauses

REPORT_LIMIT_S = 2


def load_sdk() -> Any:
    """`runpod.serverless`. Takes a second or two to import."""
    # Its default level, DEBUG, prints every item a handler yields: customers' conversations.
    if os.environ.get("RUNPOD_LOG_LEVEL") not in ("INFO", "WARN", "ERROR"):
        os.environ["RUNPOD_LOG_LEVEL"] = "INFO"
    # It asks this module for the processor's name, for a log, and the answer takes more than a second of one core, just
    # when the engine starts. It puts up with being told nothing.
    cpuinfo = ModuleType("cpuinfo")
    cpuinfo.get_cpu_info = dict  # type: ignore[attr-defined]
    sys.modules.setdefault("cpuinfo", cpuinfo)
    serverless = importlib.import_module("runpod.serverless")
    without_pauses()
    return serverless


def jobs_in_progress() -> int:
    """Jobs taken and not yet reported."""
    state = importlib.import_module("runpod.serverless.modules.worker_state")
    return len(state.JobsProgress())


async def report_unfit(env: Mapping[str, str], check: str, reason: str) -> None:
    """
    Tells RunPod that this worker is unfit, and why, as the SDK does when a fitness check fails. Best effort: what
    counts is the exit that follows.
    """
    url, key = env.get("RUNPOD_WEBHOOK_PING"), env.get("RUNPOD_AI_API_KEY")
    if not url or not key:
        return
    params = {"status": "unhealthy", "check": check, "reason": reason[:256]}
    url = url.replace("$RUNPOD_POD_ID", env.get("RUNPOD_POD_ID", ""))
    timeout = aiohttp.ClientTimeout(total=REPORT_LIMIT_S)
    with suppress(aiohttp.ClientError, TimeoutError):
        async with aiohttp.ClientSession(timeout=timeout, headers={"Authorization": key}) as session:
            await session.get(url, params=params)
