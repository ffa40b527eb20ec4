"""The engine as a child process: it outlives every job of the worker, and the worker does not outlive it."""

import asyncio
import os
import signal
import subprocess
from collections.abc import Callable, Sequence
from contextlib import suppress
from threading import Thread

from .health import EngineNotReadyError, wait_until_lost

STOP_GRACE_S = 10


class EngineProcess:
    """
    Starts `command`. Its process group is its own, so that a SIGTERM or Ctrl-C meant for the worker does not reach it:
    the worker's last jobs still need it. Raises EngineNotReadyError when there is no such program.
    """

    def __init__(self, command: Sequence[str]) -> None:
        try:
            self._process = subprocess.Popen(command, process_group=0)  # noqa: S603
        except OSError as error:
            raise EngineNotReadyError(f"the engine could not be started: {command[0]}: {error.strerror}") from error
        self._stopping = False

    def ended(self) -> str | None:
        """How it ended, such as `ended with exit code 1`; None while it runs."""
        code = self._process.poll()
        if code is None:
            return None
        return f"ended with exit code {code}" if code >= 0 else f"was ended by {signal.Signals(-code).name}"

    def watch(self, health_url: str, every_s: float, on_lost: Callable[[str], None]) -> None:
        """From a thread of its own, calls `on_lost` with the reason once the engine has ended unasked or hangs."""

        def run() -> None:
            reason = asyncio.run(wait_until_lost(health_url, every_s, self.ended))
            if not self._stopping:
                on_lost(reason)

        # A daemon: a worker that is done waits for nobody.
        Thread(target=run, name="engine-watch", daemon=True).start()

    def stop(self) -> None:
        """Asks it to end, and makes it after ten seconds. Everything it has started goes with it."""
        self._stopping = True
        self._process.terminate()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(STOP_GRACE_S)
        self.kill()

    def kill(self) -> None:
        """Ends it and everything it has started at once, so that whoever waits for an answer is told."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
