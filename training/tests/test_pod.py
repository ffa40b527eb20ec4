from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from snack_training.pod import main

ENVIRONMENT = {
    "MODEL": "mistral",
    "RESULT_REPOSITORY": "snack/mama",
    "RUN_NAME": "run-1",
    "HF_TOKEN": "hf_CANARY_TOKEN",
}
COMMIT = "c" * 40


class FakeHub:
    def __init__(self, problem: Exception | None = None) -> None:
        self.calls: list[str] = []
        self.problem = problem

    def download(self, repository: str, revision: str, folder: Path, kind: str) -> None:
        self.calls.append(f"download {kind} {repository} {len(revision)}")
        folder.mkdir(parents=True)
        if kind == "dataset":
            (folder / "talks.jsonl").touch()

    def upload(self, folder: Path, repository: str, tag: str) -> None:
        if self.problem:
            raise self.problem
        self.calls.append(f"upload {folder.name} {repository} {tag}")


class FakeTrain:
    def __init__(self, code: int = 0) -> None:
        self.code = code
        self.arguments: Sequence[str] = []
        self.environment: Mapping[str, str] = {}

    def __call__(self, arguments: Sequence[str], environment: Mapping[str, str]) -> int:
        self.arguments, self.environment = arguments, environment
        return self.code


def _lines(tmp_path: Path, hub: FakeHub, train: FakeTrain, environment: Mapping[str, str] = ENVIRONMENT) -> list[str]:
    lines: list[str] = []
    main(environment, hub, train, lines.append, tmp_path)
    assert lines[0] == "snack-training: started"
    return lines


def test_pod_downloads_trains_and_uploads_under_the_tag_of_the_run(tmp_path: Path) -> None:
    hub, train = FakeHub(), FakeTrain()
    assert _lines(tmp_path, hub, train)[-1] == "snack-training: finished"
    assert hub.calls == [
        "download model mistralai/Mistral-7B-Instruct-v0.3 40",
        "upload candidate snack/mama run-1",
    ]
    assert list(train.arguments[:3]) == ["train", "--model", "mistral"]


def test_pod_trains_on_the_files_of_the_data_set(tmp_path: Path) -> None:
    hub, train = FakeHub(), FakeTrain()
    _lines(tmp_path, hub, train, {**ENVIRONMENT, "DATASET": f"snack/talks@{COMMIT}"})
    assert hub.calls[1] == "download dataset snack/talks 40"
    assert train.arguments[-1].endswith("data/talks.jsonl")


def test_pod_gives_the_token_not_to_the_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_CANARY_TOKEN")
    train = FakeTrain()
    _lines(tmp_path, FakeHub(), train)
    assert "HF_TOKEN" not in train.environment


@pytest.mark.parametrize(
    ("code", "reason"),
    [(-9, "the system killed the training, usually because the memory is full"), (1, "the training ended with exit")],
)
def test_pod_uploads_nothing_and_says_why_when_the_training_fails(tmp_path: Path, code: int, reason: str) -> None:
    hub = FakeHub()
    assert _lines(tmp_path, hub, FakeTrain(code))[-1].startswith(f"snack-training: failed: {reason}")
    assert [call for call in hub.calls if call.startswith("upload")] == []


def test_pod_reports_a_full_disk_on_one_line_without_the_token(tmp_path: Path) -> None:
    hub = FakeHub(OSError(28, "No space left on device\nwith hf_CANARY_TOKEN"))
    last = _lines(tmp_path, hub, FakeTrain())[-1]
    assert last == "snack-training: failed: [Errno 28] No space left on device with ***"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"HF_TOKEN": "{{ RUNPOD_SECRET_x }}"}, "HF_TOKEN is not set: the RunPod account has no secret"),
        ({"MODEL": ""}, "MODEL is missing in the pod's environment"),
    ],
)
def test_pod_names_a_missing_variable(tmp_path: Path, changes: dict[str, str], reason: str) -> None:
    lines = _lines(tmp_path, FakeHub(), FakeTrain(), {**ENVIRONMENT, **changes})
    assert lines[-1].startswith(f"snack-training: failed: {reason}")
