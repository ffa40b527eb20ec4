import asyncio
import json
import os
import re
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from urllib.request import urlopen

import pytest
from snack_worker.settings import Settings

from snack_training.errors import TrainingError
from snack_training.evaluate import Evaluation, Programs
from snack_training.image_programs import lm_eval_command
from snack_training.judge import Verdict
from snack_training.measure import ServedModel
from snack_training.measurements import Fixtures, Pairwise
from snack_training.persona_prompts import read_persona_prompts, sample
from snack_training.prompts import Prompts
from snack_training.scripted_engine import ScriptedEngine, serve
from snack_training.serving import vllm
from snack_training.tasks import TASKS

from .conftest import IMAGES, ROOT

SOUND = Fixtures(passed=48, failed=0, skipped=0, problems=[])


@contextmanager
def _engine(prompts: Prompts) -> Iterator[str]:
    """Runs a scripted engine in another thread, because an evaluation blocks the current thread."""
    started, stop = threading.Event(), asyncio.Event()
    urls: list[str] = []
    loop = asyncio.new_event_loop()

    async def run() -> None:
        async with serve(ScriptedEngine(prompts, lambda _text: "あら、いらっしゃい。")) as url:
            urls.append(url)
            started.set()
            await stop.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(run(),))
    thread.start()
    try:
        assert started.wait(30)
        yield urls[0]
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.close()


@pytest.fixture
def evaluation(tmp_path: Path, prompts: Mapping[str, Prompts], tokenizers: Mapping[str, Path]) -> Iterator[Evaluation]:
    """An evaluation of two equal models, with a judge that sees no difference."""
    for name in ("candidate", "serving"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "tokenizer.json").write_bytes(tokenizers["mistral"].read_bytes())

    async def ask(_prompt: str, _first: str, _second: str) -> Verdict:
        return "tie"

    def tasks(_url: str, weights: Path, output: Path) -> Path:
        output.mkdir(parents=True)
        file = output / "results_1.json"
        score = 0.6 if weights.name == "candidate" else 0.61
        file.write_text(json.dumps({"results": {task: {metric: score} for task, metric in TASKS.items()}}))
        return file

    programs = Programs(lambda _settings, _weights: nullcontext(), lambda _url, _tokenizer: SOUND, tasks, ask)
    persona = sample(read_persona_prompts(ROOT / "prompts" / "persona.jsonl"), 12)

    with _engine(prompts["mistral"]) as url:
        yield Evaluation(
            model="mistral",
            images=IMAGES,
            candidate=tmp_path / "candidate",
            serving=tmp_path / "serving",
            work=tmp_path / "work",
            prompts=persona,
            programs=programs,
            say=lambda _line: None,
            engine_url=url,
        )


def test_evaluation_measures_both_models_and_compares_them(evaluation: Evaluation) -> None:
    measured = evaluation.run()
    assert measured.notes == []
    assert len(measured.replies) == 12
    assert measured.fixtures == SOUND
    assert measured.pairwise == Pairwise(wins=0, ties=12, losses=0)
    assert measured.tasks == {task: (60.0, 61.0) for task in TASKS}
    assert set(measured.speed) == set(measured.serving_speed or {}) == {1, 8, 16}
    assert all(tokens.server == tokens.tokenizer for tokens in measured.prompts.values())


def test_evaluation_without_a_judge_measures_all_other_parts(evaluation: Evaluation) -> None:
    measured = replace(evaluation, programs=replace(evaluation.programs, ask=None)).run()
    assert measured.pairwise is None
    assert measured.notes == []
    assert measured.tasks


@pytest.mark.parametrize("error", [TrainingError("the judge did not answer: HTTP 401"), KeyError("choices")])
def test_evaluation_notes_the_reason_and_the_configured_judge_when_the_judge_fails(
    evaluation: Evaluation, error: Exception
) -> None:
    async def ask(_prompt: str, _first: str, _second: str) -> Verdict:
        raise error

    measured = replace(evaluation, programs=replace(evaluation.programs, ask=ask)).run()
    assert (measured.has_judge, measured.pairwise) == (True, None)
    assert len(measured.notes) == 1
    assert measured.notes[0].startswith("judge: ")
    assert measured.tasks


def test_evaluation_notes_the_reason_when_the_candidate_is_not_served(evaluation: Evaluation) -> None:
    def serve_only_the_other(_settings: Settings, weights: Path) -> AbstractContextManager[None]:
        if weights.name == "candidate":
            raise TrainingError("the engine exited with code 1 before it was ready")
        return nullcontext()

    measured = replace(evaluation, programs=replace(evaluation.programs, serve=serve_only_the_other)).run()
    assert measured.notes == ["candidate: the engine exited with code 1 before it was ready"]
    assert (measured.replies, measured.speed, measured.fixtures, measured.tasks) == ([], {}, None, None)


def test_evaluation_loses_only_the_part_that_fails(evaluation: Evaluation) -> None:
    def tasks(_url: str, _weights: Path, _output: Path) -> Path:
        raise TrainingError("lm-eval ended with exit code 1: no data set")

    measured = replace(evaluation, programs=replace(evaluation.programs, tasks=tasks)).run()
    assert measured.tasks is None
    assert len(measured.notes) == 2
    assert len(measured.replies) == 12
    assert measured.fixtures == SOUND


def test_lm_eval_gets_both_tasks_and_the_tokenizer_of_the_weights(tmp_path: Path) -> None:
    command = lm_eval_command("mistral", "http://127.0.0.1:8000/v1", tmp_path / "weights", tmp_path)
    assert command[command.index("--tasks") + 1].split(",") == list(TASKS)
    arguments = dict(pair.split("=", 1) for pair in command[command.index("--model_args") + 1].split(","))
    assert arguments["tokenizer"] == str(tmp_path / "weights")
    assert arguments["base_url"] == "http://127.0.0.1:8000/v1/completions"


@pytest.mark.parametrize("task", TASKS)
def test_task_reads_parquet_files_at_an_exact_commit_because_no_loading_script_runs(task: str, tmp_path: Path) -> None:
    command = lm_eval_command("mistral", "http://127.0.0.1:8000/v1", tmp_path, tmp_path)
    text = (Path(command[command.index("--include_path") + 1]) / f"{task}.yaml").read_text(encoding="utf-8")
    lines = text.splitlines()
    assert f"task: {task}" in lines
    assert "dataset_path: parquet" in lines
    files = re.findall(r"^    (?:train|validation|test): (.+)$", text, re.MULTILINE)
    assert files
    assert all(re.fullmatch(r"hf://datasets/[\w-]+/[\w-]+@[0-9a-f]{40}/\S+\.parquet", file) for file in files)


def _served(tmp_path: Path, tokenizer: Path, port: int) -> ServedModel:
    (tmp_path / "config.json").write_text("{}")
    return ServedModel("mistral", IMAGES, tokenizer, f"http://127.0.0.1:{port}/v1", "vllm")


def _install_vllm(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Installs the stand-in for vLLM from the worker's tests. It refuses every flag that vLLM refuses."""
    program = folder / "vllm"
    program.write_text(f'#!/bin/sh\ncd {IMAGES / "worker"} && exec {sys.executable} -m tests.vllm_command "$@"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")


def test_vllm_serves_weights_until_the_end_of_the_block(
    tmp_path: Path, tokenizers: Mapping[str, Path], monkeypatch: pytest.MonkeyPatch, unused_tcp_port: int
) -> None:
    _install_vllm(tmp_path, monkeypatch)
    model = _served(tmp_path, tokenizers["mistral"], unused_tcp_port)
    with vllm("fp8_per_tensor")(model.settings, tmp_path):
        assert urlopen(model.settings.engine_health_url).status == 200  # noqa: S310
    with pytest.raises(OSError, match="refused"):
        urlopen(model.settings.engine_health_url)  # noqa: S310


def test_error_contains_the_exit_code_when_vllm_exits(
    tmp_path: Path, tokenizers: Mapping[str, Path], monkeypatch: pytest.MonkeyPatch, unused_tcp_port: int
) -> None:
    _install_vllm(tmp_path, monkeypatch)
    model = _served(tmp_path, tokenizers["mistral"], unused_tcp_port)
    (tmp_path / "config.json").unlink()
    with pytest.raises(TrainingError, match="exited with code 1"), vllm(None)(model.settings, tmp_path):
        pass
