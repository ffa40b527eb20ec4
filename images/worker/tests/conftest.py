from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from snack_worker.engine import Deadlines, Engine
from snack_worker.handler import make_handler
from snack_worker.settings import read_settings

from .stub_engine import StubEngine, stub_engine
from .worker_environment import environment, ticket

Run = Callable[..., Awaitable[list[Any]]]
"""Runs a job whose input has the given fields, and returns the items that the handler yields."""


@pytest.fixture
async def engine() -> AsyncIterator[StubEngine]:
    """A scripted engine on a real socket."""
    async with stub_engine() as stub:
        yield stub


@pytest.fixture
def make_run(tmp_path: Path) -> Callable[[str], Run]:
    """Returns a function that makes a `Run` for the engine at a base URL. The jobs have a valid ticket."""

    def make(base_url: str) -> Run:
        settings = read_settings(environment(tmp_path, ENGINE_BASE_URL=base_url))
        # A busy machine can be several times slower than an idle machine.
        deadlines = Deadlines(connect_s=5, first_text_s=3, idle_s=2, total_s=20)
        handler = make_handler(settings, Engine(settings.engine_base_url, deadlines))

        async def run_input(**fields: Any) -> list[Any]:
            return [item async for item in handler({"id": "job-1", "input": {"ticket": ticket(), **fields}})]

        return run_input

    return make


@pytest.fixture
def run(engine: StubEngine, make_run: Callable[[str], Run]) -> Run:
    """Runs jobs on the scripted engine."""
    return make_run(engine.base_url)


@pytest.fixture
def run_without_engine(make_run: Callable[[str], Run]) -> Run:
    """Runs jobs with an engine URL at which nothing listens."""
    return make_run("http://127.0.0.1:1/v1")
