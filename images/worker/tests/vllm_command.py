"""
`vllm`, as far as a machine without a GPU goes: takes `vllm serve` by the flags of the real one, refuses what that would
refuse, and serves the scripted engine in place of a model. Its own flags are what vLLM 0.26 and 0.28 both know.
"""

import asyncio
import json
import os
import sys
from collections.abc import Iterator, Sequence
from importlib.resources import files
from pathlib import Path

from aiohttp import web

from .stub_engine import StubEngine, ending, text

FLAGS = json.loads(files(__package__).joinpath("vllm_serve_flags.json").read_bytes())
GRAPH_KEY = "cudagraph_capture_sizes"


def parse(arguments: Sequence[str]) -> tuple[str, dict[str, str]]:
    """The model and the flags of `vllm serve`. Exits with 2 and what is wrong, as argparse does."""
    rest: Iterator[str] = iter(arguments)
    if next(rest, None) != "serve":
        _refuse("the only command here is serve")
    models: list[str] = []
    values: dict[str, str] = {}
    for argument in rest:
        name, equals, value = argument.partition("=")
        if not argument.startswith("-"):
            models.append(argument)
        elif name in FLAGS["switches"] or name.replace("--no-", "--", 1) in FLAGS["switches"]:
            values[name] = "on"
        elif name in FLAGS["values"]:
            values[name] = value if equals else next(rest, "")
            if not values[name] or values[name].startswith("--"):
                _refuse(f"argument {name}: expected one argument")
        else:
            _refuse(f"unrecognized arguments: {argument}")
    if len(models) != 1:
        _refuse(f"expected one model, got {models}")
    return models[0], values


def check(model: str, values: dict[str, str]) -> None:
    """Exits with 1 and the reason where the real one would not come up."""
    if not (Path(model) / "config.json").is_file():
        _refuse(f"no config.json in {model}", 1)
    if not Path(values["--chat-template"]).is_file():
        _refuse(f"no chat template at {values['--chat-template']}", 1)
    for name in ("--port", "--max-model-len", "--max-num-seqs"):
        if not values[name].isdecimal():
            _refuse(f"argument {name}: invalid int value: {values[name]!r}")
    sizes = json.loads(values["--compilation-config"])[GRAPH_KEY]
    if not all(isinstance(size, int) and size > 0 for size in sizes):
        _refuse(f"{GRAPH_KEY}: {sizes}", 1)
    if values.get("--quantization", "fp8") != "fp8":
        _refuse(f"argument --quantization: invalid choice: {values['--quantization']!r}")


class _Served(StubEngine):
    """Knows its model's name, as an engine does. Takes as long as VLLM_STUB_REPLY_S between two words."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self._name = name
        self.answers = [self._reply]

    async def _reply(self, response: web.StreamResponse) -> None:
        await response.write(text("あら、"))
        await asyncio.sleep(float(os.environ.get("VLLM_STUB_REPLY_S", "0.01")))
        await response.write(text("いらっしゃい。") + ending())

    async def chat(self, request: web.Request) -> web.StreamResponse:
        asked = (await request.json()).get("model")
        if asked == self._name:
            return await super().chat(request)
        error = {"message": f"The model `{asked}` does not exist.", "type": "NotFoundError", "code": 404}
        return web.json_response({"error": error}, status=404)


def main() -> None:
    """Serves until SIGTERM."""
    model, values = parse(sys.argv[1:])
    check(model, values)
    served = _Served(values["--served-model-name"])
    app = web.Application()
    app.add_routes([web.post("/v1/chat/completions", served.chat), web.get("/health", served.health)])
    web.run_app(app, host=values["--host"], port=int(values["--port"]), print=None, loop=asyncio.new_event_loop())


def _refuse(problem: str, code: int = 2) -> None:
    sys.stderr.write(f"vllm serve: error: {problem}\n")
    sys.exit(code)


if __name__ == "__main__":
    main()
