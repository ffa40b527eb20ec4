"""The programs of the training image (`training/Dockerfile`) with which a pod measures a candidate."""

import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from .errors import TrainingError
from .evaluate import Programs
from .files import read_json
from .judge import Ask, judge_at
from .measurements import Fixtures, read_fixtures
from .serving import vllm
from .tasks import TASK_FOLDER, TASKS

# Bundle of training/command/servedFixtures.ts.
_FIXTURES = ("node", "/opt/snack/servedFixtures.cjs")
_LM_EVAL = "lm-eval"
_LIMIT_S = 3_600
_JUDGE = ("JUDGE_URL", "JUDGE_MODEL", "JUDGE_API_KEY")
_LAST_CHARS = 300


def image_programs(images: Path, model: str, environment: Mapping[str, str]) -> Programs:
    """Returns the programs for a model. The judge's address and key are in `environment`."""
    # These two programs need no secret.
    clean = {name: value for name, value in environment.items() if name not in ("JUDGE_API_KEY", "HF_TOKEN")}

    def fixtures(url: str, tokenizer: Path) -> Fixtures:
        file = tokenizer.parent.parent / "fixtures.json"
        _run([*_FIXTURES, model, url, str(tokenizer), sys.executable, str(file)], clean, images.parent)
        return read_fixtures(file)

    def tasks(url: str, weights: Path, output: Path) -> Path:
        _run(lm_eval_command(model, url, weights, output), clean, output.parent)
        found = sorted(output.rglob("results_*.json"))
        if not found:
            raise TrainingError(f"lm-eval wrote no result to {output}")
        return found[-1]

    quantization = read_json(images / model / "model.json").get("quantization")
    return Programs(vllm(quantization), fixtures, tasks, judge_of(environment))


def lm_eval_command(model: str, url: str, weights: Path, output: Path) -> list[str]:
    """Returns the command line of lm-eval for a served model. It counts tokens with the tokenizer in `weights`."""
    arguments = {
        "model": model,
        "base_url": f"{url}/completions",
        "tokenizer_backend": "huggingface",
        "tokenizer": str(weights),
        "num_concurrent": "8",
        "max_retries": "3",
    }
    joined = ",".join(f"{name}={value}" for name, value in arguments.items())
    served = [_LM_EVAL, "run", "--model", "local-completions", "--model_args", joined]
    tasks = ["--include_path", str(TASK_FOLDER), "--tasks", ",".join(TASKS)]
    return [*served, *tasks, "--output_path", str(output)]


def judge_of(environment: Mapping[str, str]) -> Ask | None:
    """Returns the judge, or None when no judge is configured. Raises TrainingError that names a missing variable."""
    given = [environment.get(name, "") for name in _JUDGE]
    if not any(given):
        return None
    for name, value in zip(_JUDGE, given, strict=True):
        if not value or "RUNPOD_SECRET_" in value:
            raise TrainingError(f"{name} is not set; a judge needs {', '.join(_JUDGE)}")
    url, name, key = given
    return judge_at(url.rstrip("/"), name, key)


def _run(command: Sequence[str], environment: Mapping[str, str], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    try:
        done = subprocess.run(  # noqa: S603
            command, env=environment, cwd=folder, capture_output=True, encoding="utf-8", timeout=_LIMIT_S, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise TrainingError(f"{command[0]} did not end within {_LIMIT_S} s") from error
    if done.returncode != 0:
        last = " ".join((done.stderr or done.stdout).split())[-_LAST_CHARS:]
        raise TrainingError(f"{command[0]} ended with exit code {done.returncode}: {last}")
