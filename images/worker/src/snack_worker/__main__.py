"""
`python -m snack_worker`: settings, then a healthy engine, then RunPod's job loop until SIGTERM.

The engine is started here, unless ENGINE_BASE_URL names one that runs already. SIGTERM reaches the worker alone: it
finishes its jobs, then ends the engine. When the engine is lost, the jobs that needed it fail by themselves, RunPod is
told, and the worker exits with 1: RunPod starts another.
"""

import asyncio
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import FrameType

from .engine_command import engine_command
from .engine_process import EngineProcess
from .health import EngineNotReadyError, wait_until_healthy
from .sdk import jobs_in_progress, load_sdk, report_unfit
from .settings import Settings, SettingsError, read_settings

log = logging.getLogger("snack_worker")

# How long jobs that broke with the engine may take to be reported.
LAST_REPORTS_S = 10


def main() -> None:
    """Runs the worker. Exits with 1 and one clear line when it cannot start or has lost its engine."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s", stream=sys.stdout)
    try:
        settings = read_settings(os.environ)
    except SettingsError as error:
        sys.exit(f"snack-worker: {error}")

    # As a container's first process it would not even die of SIGTERM. The SDK replaces this when it starts.
    told: list[int] = []
    signal.signal(signal.SIGTERM, lambda signum, _frame: told.append(signum))
    try:
        engine = EngineProcess(engine_command(settings, settings.own_engine)) if settings.own_engine else None
        try:
            # Not before: whoever leaves while the engine is being started leaves it behind.
            signal.signal(signal.SIGTERM, _leave)
            for signum in told:
                _leave(signum, None)
            _serve(settings, engine)
        finally:
            if engine:
                engine.stop()
    except SettingsError as error:
        sys.exit(f"snack-worker: {error}")
    except EngineNotReadyError as error:
        asyncio.run(report_unfit(os.environ, "engine", str(error)))
        sys.exit(f"snack-worker: {error}")


def _serve(settings: Settings, engine: EngineProcess | None) -> None:
    # The engine is waited for, and our own modules load, while the SDK is imported.
    with ThreadPoolExecutor(1) as pool:
        sdk = pool.submit(load_sdk)

        from .engine import Engine
        from .handler import make_handler

        handler = make_handler(settings, Engine(settings.engine_base_url))
        health = settings.engine_health_url
        ended = engine.ended if engine else lambda: None
        waited_s = asyncio.run(wait_until_healthy(health, settings.engine_start_limit_s, ended))
        log.info("%s %s: engine ready after %.1f s", settings.model, settings.version, waited_s)
        serverless = sdk.result()

    if engine and settings.own_engine:
        engine.watch(health, settings.own_engine.health_every_s, _ender(engine))
    serverless.start(
        {
            "handler": handler,
            "return_aggregate_stream": True,
            "concurrency_modifier": lambda _current: settings.max_concurrency,
        }
    )


def _ender(engine: EngineProcess) -> Callable[[str], None]:
    """
    What ends this worker when its engine is lost, called from another thread. SIGTERM makes the SDK finish its jobs and
    take no more, but then it waits for its open requests, up to 90 s: SIGUSR1 makes the main thread leave before.
    """
    main_thread = threading.main_thread().ident or 0

    def leave(_signal: int, _frame: FrameType | None) -> None:
        sys.exit(f"snack-worker: {lost_because}")

    lost_because = ""
    signal.signal(signal.SIGUSR1, leave)

    def end(reason: str) -> None:
        nonlocal lost_because
        lost_because = reason
        log.error("%s; this worker ends", reason)
        # One that hangs would keep its jobs waiting.
        engine.kill()
        if jobs_in_progress() > 0:
            signal.pthread_kill(main_thread, signal.SIGTERM)
        give_up_s = time.monotonic() + LAST_REPORTS_S
        while jobs_in_progress() > 0 and time.monotonic() < give_up_s:
            time.sleep(0.1)
        asyncio.run(report_unfit(os.environ, "engine", reason))
        signal.pthread_kill(main_thread, signal.SIGUSR1)

    return end


def _leave(signum: int, _frame: FrameType | None) -> None:
    sys.exit(128 + signum)


if __name__ == "__main__":
    main()
