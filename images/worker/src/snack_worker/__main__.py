"""`python -m snack_worker`: settings, then a healthy engine, then RunPod's job loop until SIGTERM."""

import asyncio
import importlib
import logging
import os
import sys
from concurrent.futures import ThreadPoolExecutor

from .settings import SettingsError, read_settings

log = logging.getLogger("snack_worker")


def main() -> None:
    """Runs the worker. Exits with 1 and one clear line when it cannot start."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s", stream=sys.stdout)
    try:
        settings = read_settings(os.environ)
    except SettingsError as error:
        sys.exit(f"snack-worker: {error}")

    # The SDK's default level, DEBUG, prints every item a handler yields: customers' conversations.
    if os.environ.get("RUNPOD_LOG_LEVEL") not in ("INFO", "WARN", "ERROR"):
        os.environ["RUNPOD_LOG_LEVEL"] = "INFO"

    # Importing the SDK takes about two seconds, more than one of them a CPU probe in a child process that is waited
    # for (runpod.serverless.utils.rp_debugger); the engine is waited for, and our own modules load, meanwhile.
    with ThreadPoolExecutor(1) as pool:
        sdk = pool.submit(importlib.import_module, "runpod.serverless")

        from .engine import Engine
        from .handler import make_handler
        from .health import EngineNotReadyError, wait_until_healthy

        try:
            waited_s = asyncio.run(wait_until_healthy(settings.engine_health_url, settings.engine_start_limit_s))
        except EngineNotReadyError as error:
            sys.exit(f"snack-worker: {error}")
        log.info("%s %s: engine ready after %.1f s", settings.model, settings.version, waited_s)
        serverless = sdk.result()

    serverless.start(
        {
            "handler": make_handler(settings, Engine(settings.engine_base_url)),
            "return_aggregate_stream": True,
            "concurrency_modifier": lambda _current: settings.max_concurrency,
        }
    )


if __name__ == "__main__":
    main()
