"""The command line of the engine, read by the same rules as vLLM's own."""

import json
from pathlib import Path

import pytest

from snack_worker.engine_command import engine_command
from snack_worker.settings import read_settings

from .tickets_maker import environment
from .vllm_command import parse


def _command(tmp_path: Path, **more: str) -> list[str]:
    env = environment(tmp_path, WEIGHTS="baked", CONTEXT_TOKENS="4096", MAX_CONCURRENCY="16", **more)
    del env["ENGINE_BASE_URL"]
    settings = read_settings(env)
    assert settings.own_engine
    return engine_command(settings, settings.own_engine)


def test_serves_the_model_on_loopback_within_the_images_limits(tmp_path: Path) -> None:
    program, *arguments = _command(tmp_path)
    model, flags = parse(arguments)
    assert (program, model) == ("vllm", "/models/weights")
    assert json.loads(flags.pop("--compilation-config")) == {"cudagraph_capture_sizes": [1, 2, 4, 8, 16]}
    assert flags == {
        "--host": "127.0.0.1",
        "--port": "8000",
        "--served-model-name": "phi3",
        "--tokenizer-mode": "hf",
        "--chat-template": "/models/chat_template.jinja",
        "--max-model-len": "4096",
        "--max-num-seqs": "16",
        "--enable-prompt-tokens-details": "on",
        "--disable-uvicorn-access-log": "on",
    }


def test_quantizes_where_the_model_says_so(tmp_path: Path) -> None:
    assert "--quantization" not in _command(tmp_path, QUANTIZATION="")
    assert _command(tmp_path, QUANTIZATION="fp8")[-2:] == ["--quantization", "fp8"]


def test_a_flag_that_vllm_does_not_know_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse([*_command(tmp_path)[1:], "--max-context", "4096"])
    assert "unrecognized arguments: --max-context" in capsys.readouterr().err
