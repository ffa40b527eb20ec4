"""A worker as a container runs it, in a process of its own."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

LIMIT_S = 60


@asynccontextmanager
async def worker_process(env: dict[str, str]) -> AsyncIterator[asyncio.subprocess.Process]:
    """`python -m snack_worker` with nothing but `env` and PATH; what is left of it is killed."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "snack_worker",
        env={"PATH": os.environ["PATH"], "HOME": "/nonexistent", **env},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        limit=2**20,
        # The SDK's ping process goes with it.
        start_new_session=True,
    )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        # An engine left behind would hold its output open.
        await asyncio.wait_for(process.communicate(), LIMIT_S)


async def ended(process: asyncio.subprocess.Process) -> tuple[int | None, str]:
    """Exit code and output of a worker that ends by itself."""
    output, _ = await asyncio.wait_for(process.communicate(), LIMIT_S)
    return process.returncode, output.decode()
