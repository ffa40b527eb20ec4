"""
`python -m snack_worker`: reads the settings, waits for a healthy engine, then runs RunPod's job loop until SIGTERM.

This process starts the engine, unless ENGINE_BASE_URL points to a running engine. Only the worker receives SIGTERM: it
finishes its jobs, then stops the engine. When the engine exits or hangs, the running jobs fail. The worker then reports
itself as unhealthy to RunPod and exits with 1, and RunPod starts another worker.
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

from .engine_process import EngineProcess, engine_command
from .health import EngineNotReadyError, wait_until_healthy
from .sdk import jobs_in_progress, load_sdk, report_unhealthy
from .settings import Settings, SettingsError, read_settings

log = logging.getLogger("snack_worker")

# Time limit for reporting the jobs that failed because the engine was lost.
FAILED_JOBS_REPORT_LIMIT_S = 10


def main() -> None:
    """Runs the worker. Exits with 1 and a one-line reason when the worker cannot start or has lost its engine."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s", stream=sys.stdout)
    try:
        settings = read_settings(os.environ)
    except SettingsError as error:
        sys.exit(f"snack-worker: {error}")

    # Linux ignores SIGTERM for a container's first process when that process has no handler. The SDK installs a handler
    # only later.
    early_signals: list[int] = []
    signal.signal(signal.SIGTERM, lambda signum, _frame: early_signals.append(signum))
    try:
        engine = EngineProcess(engine_command(settings, settings.own_engine)) if settings.own_engine else None
        try:
            # Installed only now: an exit on SIGTERM while the engine is being started would leave the engine running.
            signal.signal(signal.SIGTERM, _exit_on_signal)
            for signum in early_signals:
                _exit_on_signal(signum, None)
            _serve(settings, engine)
        finally:
            if engine:
                engine.stop()
    except SettingsError as error:
        sys.exit(f"snack-worker: {error}")
    except EngineNotReadyError as error:
        asyncio.run(report_unhealthy(os.environ, "engine", str(error)))
        sys.exit(f"snack-worker: {error}")


def _serve(settings: Settings, engine: EngineProcess | None) -> None:
    # A second thread imports the SDK while this thread imports our modules and waits for the engine.
    with ThreadPoolExecutor(1) as pool:
        sdk = pool.submit(load_sdk)

        from .engine import Deadlines, Engine
        from .handler import make_handler

        on_lost = _make_on_lost(engine)
        # A new thread, because `on_lost` waits for jobs. In the thread of the event loop, this wait would block the
        # jobs.
        handler = make_handler(
            settings,
            Engine(
                settings.engine_base_url,
                Deadlines(first_text_s=settings.first_text_limit_s),
                on_stuck=lambda reason: threading.Thread(target=on_lost, args=(reason,), daemon=True).start(),
            ),
        )
        health_url = settings.engine_health_url
        describe_exit = engine.describe_exit if engine else lambda: None
        waited_s = asyncio.run(wait_until_healthy(health_url, settings.engine_start_limit_s, describe_exit))
        log.info("%s %s: engine ready after %.1f s", settings.model, settings.version, waited_s)
        serverless = sdk.result()

    if engine and settings.own_engine:
        engine.watch(health_url, settings.own_engine.health_every_s, on_lost)
    serverless.start(
        {
            "handler": handler,
            "return_aggregate_stream": True,
            "concurrency_modifier": lambda _current: settings.max_concurrency,
        }
    )


def _make_on_lost(engine: EngineProcess | None) -> Callable[[str], None]:
    """
    Returns a callback that ends this worker when the engine is lost or stuck. A thread other than the main thread calls
    the callback with the reason. The callback sends SIGTERM, so that the SDK finishes the running jobs and fetches no
    more jobs. The SDK would then wait up to 90 s for its open requests. To exit earlier, the callback also sends
    SIGUSR1 to the main thread.
    """
    main_thread = threading.main_thread().ident or 0
    is_first = threading.Lock()
    lost_reason = ""

    def exit_as_lost(_signal: int, _frame: FrameType | None) -> None:
        sys.exit(f"snack-worker: {lost_reason}")

    signal.signal(signal.SIGUSR1, exit_as_lost)

    def on_lost(reason: str) -> None:
        nonlocal lost_reason
        # The `kill` below makes the engine's watcher call this function a second time.
        if not is_first.acquire(blocking=False):
            return
        lost_reason = reason
        log.error("%s; the worker exits", reason)
        # The `kill` closes the engine's connections. Otherwise the running jobs would wait for a hanging engine.
        if engine:
            engine.kill()
        if jobs_in_progress() > 0:
            signal.pthread_kill(main_thread, signal.SIGTERM)
        deadline_s = time.monotonic() + FAILED_JOBS_REPORT_LIMIT_S
        while jobs_in_progress() > 0 and time.monotonic() < deadline_s:
            time.sleep(0.1)
        asyncio.run(report_unhealthy(os.environ, "engine", reason))
        signal.pthread_kill(main_thread, signal.SIGUSR1)

    return on_lost


def _exit_on_signal(signum: int, _frame: FrameType | None) -> None:
    sys.exit(128 + signum)


if __name__ == "__main__":
    main()
