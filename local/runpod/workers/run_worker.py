"""Runs the worker of `images/worker`, prepared: all that takes time happens before its endpoint is known.

It starts with the variables that RunPod itself gives a worker, which the SDK reads while it is imported. The worker's
whole environment follows as one line of JSON on standard input, whenever that is known; then the worker begins.

The parent holds the other end of standard input. When that closes, however the parent ended, the whole process group
goes: the worker and the ping process its SDK forks.
"""

import importlib
import json
import os
import queue
import runpy
import signal
import sys
import threading
import types


def _follow_parent(lines: "queue.SimpleQueue[bytes]") -> None:
    # Unbuffered: a thread that waits in a buffered reader holds its lock, which a fork or an exit would wait for.
    with open(0, "rb", buffering=0, closefd=False) as parent:
        for line in parent:
            lines.put(line)
    if hasattr(os, "killpg"):
        os.killpg(os.getpgrp(), signal.SIGKILL)
    os._exit(1)


def _import_ahead() -> None:
    # The SDK asks this module for the processor's name, to show it, and the answer takes a second of one core. It
    # puts up with being told nothing.
    cpuinfo = types.ModuleType("cpuinfo")
    cpuinfo.get_cpu_info = dict
    sys.modules["cpuinfo"] = cpuinfo
    for module in ("runpod.serverless", "snack_worker.handler"):
        importlib.import_module(module)


if __name__ == "__main__":
    lines: "queue.SimpleQueue[bytes]" = queue.SimpleQueue()
    threading.Thread(target=_follow_parent, args=(lines,), daemon=True).start()
    _import_ahead()
    os.environ.update(json.loads(lines.get()))
    runpy.run_module("snack_worker", run_name="__main__", alter_sys=True)
