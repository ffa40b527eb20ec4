"""How the engine is started."""

import json

from .settings import OwnEngine, Settings

# One graph is captured for each at every start; larger batches run without. vLLM's default is some fifty of them.
CUDA_GRAPH_SIZES = [1, 2, 4, 8, 16]


def engine_command(settings: Settings, engine: OwnEngine) -> list[str]:
    """The command line that serves `engine` on loopback, as the model and within the limits of `settings`."""
    command = [
        *("vllm", "serve", str(engine.weights)),
        *("--host", "127.0.0.1"),
        *("--port", str(engine.port)),
        *("--served-model-name", settings.model),
        # By itself vLLM takes Mistral's own tokenizer, which has the official format built in and ignores the template.
        *("--tokenizer-mode", "hf"),
        *("--chat-template", str(settings.chat_template_file)),
        *("--max-model-len", str(settings.context_tokens)),
        *("--max-num-seqs", str(settings.max_concurrency)),
        *("--compilation-config", json.dumps({"cudagraph_capture_sizes": CUDA_GRAPH_SIZES})),
        "--enable-prompt-tokens-details",
        "--disable-uvicorn-access-log",
    ]
    if engine.quantization:
        command += ["--quantization", engine.quantization]
    return command
