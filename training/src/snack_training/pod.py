"""
Program of the training image: downloads the base, trains, and uploads the candidate to Hugging Face under a tag.
`npm run train -- <model> --on runpod` reads its lines on stdout and ends the pod.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from .config import read_config
from .errors import TrainingError

ROOT = Path(__file__).parents[2]
IMAGES = ROOT.parent / "images"
# The same weights in other formats.
_NOT_NEEDED = ("consolidated*", "*.bin", "*.pth", "*.gguf")

Train = Callable[[Sequence[str], Mapping[str, str]], int]
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
        """Uploads a folder as one commit, then sets the tag. So the tag exists only for a complete result."""
        from huggingface_hub import HfApi

        api = HfApi()
        commit = api.upload_folder(repo_id=repository, folder_path=folder, commit_message=tag, delete_patterns="*")
        api.create_tag(repository, tag=tag, revision=commit.oid)


def read_settings(environment: Mapping[str, str]) -> Settings:
    """Reads the settings. Raises TrainingError that names the missing variable."""
    for name in ("MODEL", "RESULT_REPOSITORY", "RUN_NAME", "HF_TOKEN"):
        if not environment.get(name):
            raise TrainingError(f"{name} is missing in the pod's environment")
    if "RUNPOD_SECRET_" in environment["HF_TOKEN"]:
        raise TrainingError("HF_TOKEN is not set: the RunPod account has no secret with this name")
    return Settings(
        environment["MODEL"], environment["RESULT_REPOSITORY"], environment["RUN_NAME"], environment.get("DATASET")
    )


def run(settings: Settings, work: Path, hub: Hub, train: Train, say: Callable[[str], None]) -> None:
    """Downloads, trains and uploads. Raises an error with the reason when a step fails."""
    config = read_config(IMAGES / settings.model / "training.json")
    say(f"downloading {config.huggingFaceId} (15 GB)")
    hub.download(config.huggingFaceId, config.revision, work / "base", "model")
    files: list[Path] = []
    if settings.dataset:
        repository, _, revision = settings.dataset.partition("@")
        say(f"downloading {settings.dataset}")
        hub.download(repository, revision, work / "data", "dataset")
        files = sorted((work / "data").glob("**/*.jsonl"))
        if not files:
            raise TrainingError(f"{settings.dataset} contains no .jsonl file")
    arguments = ["train", "--model", settings.model, "--base", str(work / "base"), "--out", str(work / "run")]
    # The training needs no network, so it gets no token.
    environment = {name: value for name, value in os.environ.items() if name != "HF_TOKEN"}
    code = train([*arguments, *map(str, files)], environment)
    if code == -signal.SIGKILL:
        raise TrainingError("the system killed the training, usually because the memory is full")
    if code != 0:
        raise TrainingError(f"the training ended with exit code {code}; the lines above say why")
    say(f"uploading to {settings.repository}")
    hub.upload(work / "run" / "candidate", settings.repository, settings.run)


def main(
    environment: Mapping[str, str],
    hub: Hub,
    train: Train,
    say: Callable[[str], None],
    work: Path = Path("/work"),
) -> None:
    """Trains once, and reports the result as the last line."""
    say("snack-training: started")
    try:
        run(read_settings(environment), work, hub, train, say)
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        say(f"snack-training: failed: {reason.replace(environment.get('HF_TOKEN') or '***', '***')}")
    else:
        say("snack-training: finished")


def _train(arguments: Sequence[str], environment: Mapping[str, str]) -> int:
    command = [sys.executable, "-m", "snack_training", *arguments]
    return subprocess.run(command, env=environment, check=False).returncode  # noqa: S603


def _say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    # The first process of a container ignores SIGTERM unless it has a handler.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    main(os.environ, HuggingFace(), _train, _say)
    # RunPod starts a container again when its program ends, which would repeat the training.
    while True:
        signal.pause()
