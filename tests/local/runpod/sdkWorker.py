"""Worker with RunPod's SDK for a test. The input of each job selects what the handler does."""

import asyncio
import os
import sys
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import runpod

MODE = os.environ["MODE"]


async def handle(job: dict[str, Any]) -> Any:
    work = job["input"]
    match work["do"]:
        case "echo":
            return work["value"]
        case "wait":
            try:
                await asyncio.sleep(work["seconds"])
            except asyncio.CancelledError:
                Path(work["note"]).write_text("stopped")
                raise
            return "waited"
        case "raise":
            raise ValueError("boom")
        case "progress":
            runpod.serverless.progress_update(job, "half")
            await asyncio.sleep(work["seconds"])
            return "whole"
        case "die":
            sys.stdout.flush()
            os._exit(3)
    raise ValueError(work)


async def generate(job: dict[str, Any]) -> AsyncGenerator[Any, None]:
    for item in job["input"]["items"]:
        yield item


if MODE == "unfit":

    @runpod.serverless.register_fitness_check
    def refuse() -> None:
        raise RuntimeError("no GPU here")


config: dict[str, Any] = {"handler": handle, "concurrency_modifier": lambda _: 4}
if MODE in ("stream", "aggregate"):
    config.update(handler=generate, return_aggregate_stream=MODE == "aggregate")
runpod.serverless.start(config)
