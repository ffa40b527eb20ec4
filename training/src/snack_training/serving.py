"""Serves weights with vLLM on this machine, with the command line of the worker's image."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from snack_worker.engine_process import EngineProcess, engine_command
from snack_worker.health import EngineNotReadyError, wait_until_healthy
from snack_worker.settings import OwnEngine, Settings

from .errors import TrainingError

Serve = Callable[[Settings, Path], AbstractContextManager[None]]
"""Serves a folder of weights at the engine URL in the settings."""

_START_LIMIT_S = 900
_HEALTH_EVERY_S = 5.0


def vllm(quantization: str | None) -> Serve:
    """Returns a server. `quantization` is vLLM's name of the method. None serves the weights unchanged."""

    @contextmanager
    def serve(settings: Settings, weights: Path) -> Iterator[None]:
        port = urlsplit(settings.engine_base_url).port
        assert port is not None  # noqa: S101
        engine = OwnEngine(port, weights, quantization, _HEALTH_EVERY_S)
        try:
            process = EngineProcess(engine_command(settings, engine))
            try:
                asyncio.run(wait_until_healthy(settings.engine_health_url, _START_LIMIT_S, process.describe_exit))
                yield
            finally:
                process.stop()
        except EngineNotReadyError as error:
            raise TrainingError(str(error)) from error

    return serve
