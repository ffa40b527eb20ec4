"""A worker in a separate process, as in a container."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

LIMIT_S = 60


@asynccontextmanager
async def worker_process(env: dict[str, str]) -> AsyncIterator[asyncio.subprocess.Process]:
    """Runs `python -m snack_worker` with only `env`, PATH and HOME. Kills the worker's process group at the end."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "snack_worker",
        env={"PATH": os.environ["PATH"], "HOME": "/nonexistent", **env},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        limit=2**20,
        # A new process group, which includes the SDK's ping process.
        start_new_session=True,
    )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        # If an engine process is still running, it keeps the output open, and this wait times out.
        await asyncio.wait_for(process.communicate(), LIMIT_S)


async def wait_for_exit(process: asyncio.subprocess.Process) -> tuple[int | None, str]:
    """Waits until a worker exits, and returns its exit code and output."""
    output, _ = await asyncio.wait_for(process.communicate(), LIMIT_S)
    return process.returncode, output.decode()
