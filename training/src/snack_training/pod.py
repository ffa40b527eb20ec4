"""
Program of the training image: downloads the base, trains, applies the gates on the same GPU, and uploads the candidate
with its report to Hugging Face under a tag. `npm run train -- <model> --on runpod` reads its lines on stdout, reads the
verdict from the report, and ends the pod.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from .candidate import REPORT_FOLDER
from .config import TrainingConfig, read_config
from .errors import TrainingError
from .files import read_json
from .image_programs import judge_of

ROOT = Path(__file__).parents[2]
IMAGES = ROOT.parent / "images"
# Files that the download skips, because they contain the same weights in other formats.
_NOT_NEEDED = ("consolidated*", "*.bin", "*.pth", "*.gguf")

REPORT = f"{REPORT_FOLDER}/report.html"
"""Report in the folder of the candidate. The JSON file of the report and the measurements are in the same folder."""
_SHORTEST_SECRET = 8
_UPLOADS = 4
_UPLOAD_PAUSE_S = 30
# Memory of Python and torch without the weights.
_PROCESS_BYTES = 4_000_000_000
# Files with the memory limit of a container, in version 2 and version 1 of Linux's control groups.
_MEMORY_LIMITS = ("sys/fs/cgroup/memory.max", "sys/fs/cgroup/memory/memory.limit_in_bytes")

RunCommand = Callable[[Sequence[str], Mapping[str, str]], int]
"""Runs a command of this package with an environment. Returns its exit code."""


@dataclass(frozen=True)
class Settings:
    """Environment of the pod."""

    model: str
    repository: str
    """Private model repository for the result."""
    run: str
    """Tag of the result."""
    dataset: str | None
    """`owner/name@commit`. None: the starter set."""


class Hub(Protocol):
    """The calls of Hugging Face that a training needs."""

    def download(self, repository: str, revision: str, folder: Path, kind: str) -> None: ...

    def upload(self, folder: Path, repository: str, tag: str) -> None: ...


class HuggingFace:
    """Hugging Face, with the token of the variable HF_TOKEN."""

    def download(self, repository: str, revision: str, folder: Path, kind: str) -> None:
        """Downloads a repository of the kind `model` or `dataset` at a commit."""
        from huggingface_hub import snapshot_download

        snapshot_download(
            repository, repo_type=kind, revision=revision, local_dir=folder, ignore_patterns=list(_NOT_NEEDED)
        )

    def upload(self, folder: Path, repository: str, tag: str) -> None:
        """Uploads a folder as one commit, and then sets the tag. So the tag exists only for a complete result."""
        from huggingface_hub import HfApi

        api = HfApi()
        commit = api.upload_folder(repo_id=repository, folder_path=folder, commit_message=tag, delete_patterns="*")
        api.create_tag(repository, tag=tag, revision=commit.oid, exist_ok=True)


def read_settings(environment: Mapping[str, str]) -> Settings:
    """
    Reads the settings, and checks the settings of the judge. Raises TrainingError that names the missing variable.
    """
    for name in ("MODEL", "RESULT_REPOSITORY", "RUN_NAME", "HF_TOKEN"):
        if not environment.get(name):
            raise TrainingError(f"{name} is missing in the pod's environment")
    if "RUNPOD_SECRET_" in environment["HF_TOKEN"]:
        raise TrainingError("HF_TOKEN is not set: the RunPod account has no secret with this name")
    judge_of(environment)
    return Settings(
        environment["MODEL"], environment["RESULT_REPOSITORY"], environment["RUN_NAME"], environment.get("DATASET")
    )


@dataclass(frozen=True)
class Pod:
    """The work of one pod."""

    settings: Settings
    work: Path
    hub: Hub
    command: RunCommand
    say: Callable[[str], None]
    pause: Callable[[float], None]
    memory_bytes: int
    """Memory that the container may use."""

    def run(self) -> None:
        """Downloads, trains, judges and uploads. Raises an error with the reason when a step fails."""
        config = read_config(IMAGES / self.settings.model / "training.json")
        base = self._download(config.huggingFaceId, config.revision, "base")
        self._require_memory(base)
        serving = self._serving(config, base)
        candidate = self._train(base)
        self._judge(candidate, serving)
        self._upload(candidate)

    def _download(self, repository: str, revision: str, name: str, kind: str = "model") -> Path:
        self.say(f"downloading {repository}{' (15 GB)' if kind == 'model' else ''}")
        self.hub.download(repository, revision, self.work / name, kind)
        return self.work / name

    def _require_memory(self, base: Path) -> None:
        """Raises TrainingError when the merge in float32 does not fit into the memory. Called before the training."""
        # The files have two bytes for each weight, and the merge needs four bytes for each weight.
        needed = 2 * sum(file.stat().st_size for file in base.glob("*.safetensors")) + _PROCESS_BYTES
        if self.memory_bytes < needed:
            raise TrainingError(
                f"the pod has {self.memory_bytes / 1e9:.0f} GB of memory, and the merge needs {needed / 1e9:.0f} GB; "
                "choose another type with --gpu"
            )

    def _train(self, base: Path) -> Path:
        """Trains and exports. Returns the folder of the candidate."""
        files: list[Path] = []
        if self.settings.dataset:
            repository, _, revision = self.settings.dataset.partition("@")
            files = sorted(self._download(repository, revision, "data", "dataset").glob("**/*.jsonl"))
            if not files:
                raise TrainingError(f"{self.settings.dataset} contains no .jsonl file")
        out = self.work / "run"
        arguments = ["train", "--model", self.settings.model, "--base", str(base), "--out", str(out)]
        # The training needs no network, so it gets no secret.
        code = self.command([*arguments, *map(str, files)], _without("HF_TOKEN", "JUDGE_API_KEY"))
        if code == -signal.SIGKILL:
            raise TrainingError("the system killed the training, usually because the memory is full")
        if code != 0:
            raise TrainingError(f"the training ended with exit code {code}; the lines above say why")
        return out / "candidate"

    def _serving(self, config: TrainingConfig, base: Path) -> Path:
        """Returns the folder of the serving model's weights: the base, or an earlier retrained model."""
        facts = read_json(IMAGES / self.settings.model / "model.json")
        if (facts["huggingFaceId"], facts["revision"]) == (config.huggingFaceId, config.revision):
            return base
        return self._download(facts["huggingFaceId"], facts["revision"], "serving")

    def _judge(self, candidate: Path, serving: Path) -> None:
        """
        Writes the report into the folder of the candidate. A failed gate is not an error. The candidate and its report
        are uploaded, but the operator's command refuses to propose the candidate.
        """
        arguments = ["evaluate", "--model", self.settings.model, "--candidate", str(candidate)]
        places = ["--serving", str(serving), "--work", str(self.work / "evaluation"), "--report"]
        code = self.command([*arguments, *places, str(candidate / REPORT)], _without("HF_TOKEN"))
        report = (candidate / REPORT).with_suffix(".json")
        if not report.is_file():
            self.say(f"the gates were not applied: the evaluation ended with exit code {code}")
            return
        content = read_json(report)
        counts = ", ".join(f"{number} {status}" for status, number in content["gates"].items() if number)
        left = ", ".join(content["openGates"])
        self.say(f"gates: {counts}{f'; not passed: {left}' if left else ''}")

    def _upload(self, candidate: Path) -> None:
        """Uploads the result. Repeats a failed upload, because the training took an hour."""
        for attempt in range(1, _UPLOADS + 1):
            self.say(f"uploading to {self.settings.repository}")
            try:
                return self.hub.upload(candidate, self.settings.repository, self.settings.run)
            except Exception as error:
                if attempt == _UPLOADS:
                    raise
                self.say(f"the upload failed and is repeated: {_one_line(error)}")
                self.pause(_UPLOAD_PAUSE_S * attempt)


def memory_bytes(root: Path = Path("/")) -> int:
    """
    Returns the memory that this container may use, in bytes. This is the smaller of the host's memory and the
    container's limit.
    """
    total = next(line for line in (root / "proc/meminfo").read_text().splitlines() if line.startswith("MemTotal:"))
    limits = [(root / name).read_text().strip() for name in _MEMORY_LIMITS if (root / name).is_file()]
    return min([int(total.split()[1]) * 1_024, *(int(limit) for limit in limits if limit != "max")])


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def _redacted(text: str, environment: Mapping[str, str]) -> str:
    for name in ("HF_TOKEN", "JUDGE_API_KEY"):
        value = environment.get(name, "")
        # A shorter value is not a secret, and could be a part of an ordinary word.
        text = text.replace(value, "***") if len(value) >= _SHORTEST_SECRET else text
    return text


def _without(*names: str) -> dict[str, str]:
    """Returns the environment without the variables in `names`."""
    return {name: value for name, value in os.environ.items() if name not in names}


def main(
    environment: Mapping[str, str],
    hub: Hub,
    command: RunCommand,
    say: Callable[[str], None],
    work: Path = Path("/work"),
    pause: Callable[[float], None] = time.sleep,
    memory: Callable[[], int] = memory_bytes,
) -> None:
    """Trains once. The final line of the output reports success or failure."""
    say("snack-training: started")

    def tell(line: str) -> None:
        say(_redacted(line, environment))

    try:
        Pod(read_settings(environment), work, hub, command, tell, pause, memory()).run()
    except Exception as error:
        tell(f"snack-training: failed: {_one_line(error)}")
    else:
        say("snack-training: finished")


def _command(arguments: Sequence[str], environment: Mapping[str, str]) -> int:
    command = [sys.executable, "-m", "snack_training", *arguments]
    return subprocess.run(command, env=environment, check=False).returncode  # noqa: S603


def _say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    # The first process of a container ignores SIGTERM unless it has a handler.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    main(os.environ, HuggingFace(), _command, _say)
    # RunPod restarts a container after the end of its program, and a restart would repeat the training.
    while True:
        signal.pause()
