"""
Runs the worker of `images/worker`. Does the slow imports before the worker's endpoint exists.

The process starts with the variables of RunPod's platform, because the SDK reads them at import. The whole environment
follows as one line of JSON on standard input. Then the worker starts.

Standard input is a pipe from the parent. When the parent ends or crashes, the pipe closes. This process then kills its
process group: the worker and the ping process of the SDK.
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
    # A thread that waits in a buffered reader holds the reader's lock. A fork or an exit would wait for this lock, so
    # the reader is unbuffered.
    with open(0, "rb", buffering=0, closefd=False) as parent:
        for line in parent:
            lines.put(line)
    if hasattr(os, "killpg"):
        os.killpg(os.getpgrp(), signal.SIGKILL)
    os._exit(1)


def _import_ahead() -> None:
    # The SDK asks this module for the processor's name, which takes a second of CPU time. The SDK accepts an empty
    # result.
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
