"""The engine's command line, parsed by vLLM's rules."""

import json
from pathlib import Path

import pytest

from snack_worker.engine_process import cuda_graph_sizes, engine_command
from snack_worker.settings import read_settings

from .vllm_command import parse
from .worker_environment import MODEL, environment


def _command(tmp_path: Path, **overrides: str) -> list[str]:
    image = {"WEIGHTS": "baked", "CONTEXT_TOKENS": "4096", "MAX_CONCURRENCY": "16", **overrides}
    env = environment(tmp_path, **image)
    del env["ENGINE_BASE_URL"]
    settings = read_settings(env)
    assert settings.own_engine
    return engine_command(settings, settings.own_engine)


def test_engine_command_serves_the_model_on_loopback_with_the_limits_of_the_image(tmp_path: Path) -> None:
    program, *arguments = _command(tmp_path)
    model, flags = parse(arguments)
    assert (program, model) == ("vllm", "/models/weights")
    assert json.loads(flags.pop("--compilation-config")) == {"cudagraph_capture_sizes": [1, 2, 4, 8, 16]}
    assert flags == {
        "--host": "127.0.0.1",
        "--port": "8000",
        "--served-model-name": MODEL,
        "--tokenizer-mode": "hf",
        "--config-format": "hf",
        "--load-format": "safetensors",
        "--generation-config": "vllm",
        "--chat-template": "/models/chat_template.jinja",
        "--max-model-len": "4096",
        "--max-num-seqs": "16",
        "--enable-prompt-tokens-details": "on",
        "--disable-uvicorn-access-log": "on",
    }


@pytest.mark.parametrize(
    ("max_concurrency", "sizes"),
    [(1, [1]), (4, [1, 2, 4]), (12, [1, 2, 4, 8, 12]), (16, [1, 2, 4, 8, 16]), (32, [1, 2, 4, 8, 16, 24, 32])],
)
def test_cuda_graphs_are_captured_up_to_the_largest_batch_of_replies(max_concurrency: int, sizes: list[int]) -> None:
    assert cuda_graph_sizes(max_concurrency) == sizes


def test_engine_command_for_cached_weights_differs_only_in_the_weights_folder(tmp_path: Path) -> None:
    revision = "2fe192450127e6a83f7441aef6e3ca586c338b77"
    snapshot = tmp_path / "models--a--b" / "snapshots" / revision
    snapshot.mkdir(parents=True)
    cache = {"MODEL_CACHE": str(tmp_path), "MODEL_ID": "a/b", "MODEL_REVISION": revision}
    cached = _command(tmp_path, WEIGHTS="cached", **cache)
    assert cached[2] == str(snapshot)
    assert [*cached[:2], "/models/weights", *cached[3:]] == _command(tmp_path)


def test_engine_command_has_a_quantization_flag_only_when_configured(tmp_path: Path) -> None:
    assert "--quantization" not in _command(tmp_path, QUANTIZATION="")
    assert _command(tmp_path, QUANTIZATION="fp8_per_tensor")[-2:] == ["--quantization", "fp8_per_tensor"]


def test_vllm_stand_in_rejects_an_unknown_flag(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse([*_command(tmp_path)[1:], "--max-context", "4096"])
    assert "unrecognized arguments: --max-context" in capsys.readouterr().err
