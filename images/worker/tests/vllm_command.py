"""
Stand-in for `vllm serve` without a GPU. It accepts the flags in `vllm_serve_flags.json`. These flags come from the
parser of vLLM 0.32, and vLLM 0.33 has the same flags. The stand-in rejects arguments that vLLM would reject. It serves
the scripted engine, not a model.
"""

import asyncio
import json
import os
import sys
from collections.abc import Iterator, Sequence
from importlib.resources import files
from pathlib import Path

from aiohttp import web

from .stub_engine import StubEngine, end_events, text_event

FLAGS = json.loads(files(__package__).joinpath("vllm_serve_flags.json").read_bytes())
GRAPH_KEY = "cudagraph_capture_sizes"


def parse(arguments: Sequence[str]) -> tuple[str, dict[str, str]]:
    """
    Parses the arguments of `vllm serve`. Returns the model and the flags. Exits with 2 and a message, as argparse does.
    """
    remaining: Iterator[str] = iter(arguments)
    if next(remaining, None) != "serve":
        _exit_with("expected the command serve")
    models: list[str] = []
    values: dict[str, str] = {}
    for argument in remaining:
        name, equals, value = argument.partition("=")
        if not argument.startswith("-"):
            models.append(argument)
        elif name in FLAGS["switches"] or name.replace("--no-", "--", 1) in FLAGS["switches"]:
            values[name] = "on"
        elif name in FLAGS["values"]:
            values[name] = value if equals else next(remaining, "")
            if not values[name] or values[name].startswith("--"):
                _exit_with(f"argument {name}: expected one argument")
        else:
            _exit_with(f"unrecognized arguments: {argument}")
    if len(models) != 1:
        _exit_with(f"expected one model, got {models}")
    return models[0], values


def check(model: str, values: dict[str, str]) -> None:
    """Exits with 1 or 2 and a message when vLLM would not start with these arguments."""
    if not (Path(model) / "config.json").is_file():
        _exit_with(f"no config.json in {model}", 1)
    if not Path(values["--chat-template"]).is_file():
        _exit_with(f"no chat template at {values['--chat-template']}", 1)
    for name in ("--port", "--max-model-len", "--max-num-seqs"):
        if not values[name].isdecimal():
            _exit_with(f"argument {name}: invalid int value: {values[name]!r}")
    sizes = json.loads(values["--compilation-config"])[GRAPH_KEY]
    if not all(isinstance(size, int) and size > 0 for size in sizes):
        _exit_with(f"{GRAPH_KEY}: {sizes}", 1)
    if values.get("--quantization", "fp8_per_tensor") != "fp8_per_tensor":
        _exit_with(f"argument --quantization: invalid choice: {values['--quantization']!r}")


class _NamedEngine(StubEngine):
    """
    Scripted engine that accepts only the model `name`, as vLLM does. It waits VLLM_STUB_FIRST_TEXT_S seconds before the
    first piece of a reply, and VLLM_STUB_REPLY_S seconds between the two pieces.
    """

    def __init__(self, name: str) -> None:
        super().__init__()
        self._name = name
        self.answers = [self._reply]

    async def _reply(self, response: web.StreamResponse) -> None:
        await asyncio.sleep(float(os.environ.get("VLLM_STUB_FIRST_TEXT_S", "0")))
        await response.write(text_event("あら、"))
        await asyncio.sleep(float(os.environ.get("VLLM_STUB_REPLY_S", "0.01")))
        await response.write(text_event("いらっしゃい。") + end_events())

    async def chat(self, request: web.Request) -> web.StreamResponse:
        name = (await request.json()).get("model")
        if name == self._name:
            return await super().chat(request)
        error = {"message": f"The model `{name}` does not exist.", "type": "NotFoundError", "code": 404}
        return web.json_response({"error": error}, status=404)


def main() -> None:
    """Runs the command. It serves until SIGTERM."""
    model, values = parse(sys.argv[1:])
    check(model, values)
    engine = _NamedEngine(values["--served-model-name"])
    app = web.Application()
    app.add_routes([web.post("/v1/chat/completions", engine.chat), web.get("/health", engine.health)])
    web.run_app(app, host=values["--host"], port=int(values["--port"]), print=None, loop=asyncio.new_event_loop())


def _exit_with(problem: str, code: int = 2) -> None:
    sys.stderr.write(f"vllm serve: error: {problem}\n")
    sys.exit(code)


if __name__ == "__main__":
    main()
