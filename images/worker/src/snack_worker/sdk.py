"""RunPod's SDK: its import, its job counter and the report of an unhealthy worker."""

import importlib
import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from types import ModuleType
from typing import Any

import aiohttp

from .job_loop import install_job_loop

REPORT_LIMIT_S = 2


def load_sdk() -> Any:
    """Imports `runpod.serverless` with our job loop. The import takes a second or two."""
    # The default level DEBUG logs every item that a handler yields, which includes customers' conversations.
    if os.environ.get("RUNPOD_LOG_LEVEL") not in ("INFO", "WARN", "ERROR"):
        os.environ["RUNPOD_LOG_LEVEL"] = "INFO"
    # The SDK logs the processor's name, which it reads with the module `cpuinfo`. That module would use one core for
    # more than a second while the engine starts. This replacement returns an empty dict, which the SDK accepts.
    cpuinfo = ModuleType("cpuinfo")
    cpuinfo.get_cpu_info = dict  # type: ignore[attr-defined]
    sys.modules.setdefault("cpuinfo", cpuinfo)
    serverless = importlib.import_module("runpod.serverless")
    install_job_loop()
    return serverless


def jobs_in_progress() -> int:
    """Returns the number of jobs that the SDK has fetched and not yet reported as done."""
    state = importlib.import_module("runpod.serverless.modules.worker_state")
    return len(state.JobsProgress())


async def report_unhealthy(env: Mapping[str, str], check: str, reason: str) -> None:
    """
    Reports this worker as unhealthy to RunPod, in the format that the SDK uses for failed fitness checks. Errors are
    ignored, because the worker exits afterwards.
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
