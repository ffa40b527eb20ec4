from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from snack_worker.engine import Deadlines, Engine
from snack_worker.handler import make_handler
from snack_worker.settings import read_settings

from .stub_engine import StubEngine, stub_engine
from .tickets_maker import environment, ticket

Run = Callable[..., Awaitable[list[Any]]]


@pytest.fixture
async def engine() -> AsyncIterator[StubEngine]:
    """A scripted engine on a real socket."""
    async with stub_engine() as stub:
        yield stub


@pytest.fixture
def serve(tmp_path: Path) -> Callable[[str], Run]:
    """Gives the phi3 worker's handler on the engine at a base URL, as a function of an `input` with a good ticket."""

    def run_on(base_url: str) -> Run:
        settings = read_settings(environment(tmp_path, ENGINE_BASE_URL=base_url))
        deadlines = Deadlines(connect_s=1, first_text_s=0.6, idle_s=0.3, total_s=5)
        handler = make_handler(settings, Engine(settings.engine_base_url, deadlines))

        async def run_input(**value: Any) -> list[Any]:
            return [item async for item in handler({"id": "job-1", "input": {"ticket": ticket(), **value}})]

        return run_input

    return run_on


@pytest.fixture
def run(engine: StubEngine, serve: Callable[[str], Run]) -> Run:
    """The handler on the scripted engine."""
    return serve(engine.base_url)


@pytest.fixture
def run_without_engine(serve: Callable[[str], Run]) -> Run:
    """The handler where nobody listens."""
    return serve("http://127.0.0.1:1/v1")
