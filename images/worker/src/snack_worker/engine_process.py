"""The engine's command line and process. The process is a child of the worker."""

import asyncio
import json
import os
import signal
import subprocess
from collections.abc import Callable, Sequence
from contextlib import suppress
from threading import Thread

from .health import EngineNotReadyError, wait_until_lost
from .settings import OwnEngine, Settings

STOP_GRACE_S = 10


def cuda_graph_sizes(max_concurrency: int) -> list[int]:
    """
    Returns the batch sizes for which vLLM captures a CUDA graph at every start. vLLM pads a batch to the next size, and
    runs a batch above the last size without a graph. Therefore the last size is the largest possible batch of replies.
    vLLM's default list goes up to twice that size, which costs time at the start. This list has 7 sizes for 16 replies,
    and 11 sizes for 32 replies.
    """
    return [size for size in (1, 2, 4, *range(8, max_concurrency, 8)) if size < max_concurrency] + [max_concurrency]


def engine_command(settings: Settings, engine: OwnEngine) -> list[str]:
    """Returns the command line that starts `engine` on loopback with the model name and limits of `settings`."""
    command = [
        *("vllm", "serve", str(engine.weights)),
        *("--host", "127.0.0.1"),
        *("--port", str(engine.port)),
        *("--served-model-name", settings.model),
        # By default, vLLM uses Mistral's own tokenizer, which has a built-in prompt format and ignores the chat
        # template.
        *("--tokenizer-mode", "hf"),
        # RunPod's model cache also contains Mistral's own format of the weights (`consolidated*`), which vLLM prefers.
        # These flags make it read the same files as in an image with baked weights.
        *("--config-format", "hf"),
        *("--load-format", "safetensors"),
        # By default, the weights' generation_config.json replaces the sampling defaults of the API. With this flag,
        # only the end tokens of generation_config apply.
        *("--generation-config", "vllm"),
        *("--chat-template", str(settings.chat_template_file)),
        *("--max-model-len", str(settings.context_tokens)),
        *("--max-num-seqs", str(settings.max_concurrency)),
        *("--compilation-config", json.dumps({"cudagraph_capture_sizes": cuda_graph_sizes(settings.max_concurrency)})),
        "--enable-prompt-tokens-details",
        "--disable-uvicorn-access-log",
    ]
    if engine.quantization:
        command += ["--quantization", engine.quantization]
    return command


class EngineProcess:
    """
    Process of the engine, started with `command`. The engine has a separate process group, so a SIGTERM or Ctrl-C for
    the worker does not end the engine. The worker's running jobs still need the engine. Raises EngineNotReadyError when
    the program is missing.
    """

    def __init__(self, command: Sequence[str]) -> None:
        try:
            self._process = subprocess.Popen(command, process_group=0)  # noqa: S603
        except OSError as error:
            raise EngineNotReadyError(f"the engine could not be started: {command[0]}: {error.strerror}") from error
        self._stopping = False

    def describe_exit(self) -> str | None:
        """Returns a description such as `exited with code 1`, or None while the process runs."""
        code = self._process.poll()
        if code is None:
            return None
        return f"exited with code {code}" if code >= 0 else f"was killed by {signal.Signals(-code).name}"

    def watch(self, health_url: str, every_s: float, on_lost: Callable[[str], None]) -> None:
        """
        Starts a thread that calls `on_lost` with the reason when the engine hangs or exits. After `stop`, the thread
        does not call `on_lost`.
        """

        def run() -> None:
            reason = asyncio.run(wait_until_lost(health_url, every_s, self.describe_exit))
            if not self._stopping:
                on_lost(reason)

        # A daemon thread does not delay the worker's exit.
        Thread(target=run, name="engine-watch", daemon=True).start()

    def stop(self) -> None:
        """
        Terminates the engine and waits up to STOP_GRACE_S seconds. Then kills the engine and its child processes if
        they still run.
        """
        self._stopping = True
        self._process.terminate()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(STOP_GRACE_S)
        self.kill()

    def kill(self) -> None:
        """
        Kills the engine and all its child processes. The kill closes the connections of jobs that wait for a reply.
        """
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
