import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from snack_training.pod import main, memory_bytes

ENVIRONMENT = {
    "MODEL": "mistral",
    "RESULT_REPOSITORY": "snack/mama",
    "RUN_NAME": "run-1",
    "HF_TOKEN": "hf_CANARY_TOKEN",
}
JUDGE = {"JUDGE_URL": "https://judge.test/v1", "JUDGE_MODEL": "judge", "JUDGE_API_KEY": "judge_CANARY_KEY"}
COMMIT = "c" * 40
PASSED = {"gates": {"passed": 20, "failed": 0, "notMeasured": 1}, "openGates": []}
FAILED = {"gates": {"passed": 19, "failed": 1, "notMeasured": 1}, "openGates": ["no-empty-reply"]}


class FakeHub:
    def __init__(self, *problems: Exception) -> None:
        self.calls: list[str] = []
        self.problems = list(problems)
        self.uploaded: list[str] = []

    def download(self, repository: str, revision: str, folder: Path, kind: str) -> None:
        self.calls.append(f"download {kind} {repository} {len(revision)}")
        folder.mkdir(parents=True)
        if kind == "dataset":
            (folder / "talks.jsonl").touch()

    def upload(self, folder: Path, repository: str, tag: str) -> None:
        if self.problems:
            raise self.problems.pop(0)
        self.calls.append(f"upload {folder.name} {repository} {tag}")
        self.uploaded = sorted(str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file())


class FakeCommands:
    """Fake commands of the package. `train` writes a candidate, and `evaluate` writes a report."""

    def __init__(self, code: int = 0, report: object = PASSED) -> None:
        self.code = code
        self.report = report
        self.calls: dict[str, tuple[Sequence[str], Mapping[str, str]]] = {}

    def __call__(self, arguments: Sequence[str], environment: Mapping[str, str]) -> int:
        self.calls[arguments[0]] = arguments, environment
        if arguments[0] == "train":
            candidate = Path(arguments[arguments.index("--out") + 1]) / "candidate"
            candidate.mkdir(parents=True)
            (candidate / "run.json").write_text("{}")
            return self.code
        if self.report is None:
            return -9
        report = Path(arguments[-1]).with_suffix(".json")
        report.parent.mkdir()
        report.write_text(json.dumps(self.report))
        return 1 if self.report is FAILED else 0


def _lines(
    tmp_path: Path, hub: FakeHub, commands: FakeCommands, environment: Mapping[str, str] = ENVIRONMENT
) -> list[str]:
    lines: list[str] = []
    main(environment, hub, commands, lines.append, tmp_path, lambda _seconds: None, lambda: 64_000_000_000)
    assert lines[0] == "snack-training: started"
    return lines


def test_pod_downloads_trains_judges_and_uploads_under_the_tag_of_the_run(tmp_path: Path) -> None:
    hub, commands = FakeHub(), FakeCommands()
    lines = _lines(tmp_path, hub, commands)
    assert lines[-1] == "snack-training: finished"
    assert "gates: 20 passed, 1 notMeasured" in lines
    assert hub.calls == [
        "download model mistralai/Mistral-7B-Instruct-v0.3 40",
        "upload candidate snack/mama run-1",
    ]
    assert hub.uploaded == ["report/report.json", "run.json"]
    assert list(commands.calls) == ["train", "evaluate"]


def test_pod_compares_with_the_base_when_the_base_is_the_serving_model(tmp_path: Path) -> None:
    commands = FakeCommands()
    _lines(tmp_path, FakeHub(), commands)
    arguments = commands.calls["evaluate"][0]
    assert arguments[arguments.index("--serving") + 1] == str(tmp_path / "base")


def test_pod_downloads_the_serving_model_before_the_training_when_it_is_not_the_base(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    serving = {"huggingFaceId": "snack/mama", "revision": COMMIT}
    monkeypatch.setattr("snack_training.pod.read_json", lambda file: PASSED if "report" in str(file) else serving)
    hub, commands = FakeHub(), FakeCommands()
    _lines(tmp_path, hub, commands)
    assert hub.calls[1] == "download model snack/mama 40"
    arguments = commands.calls["evaluate"][0]
    assert arguments[arguments.index("--serving") + 1] == str(tmp_path / "serving")


def test_pod_uploads_the_candidate_and_names_the_gate_when_a_gate_fails(tmp_path: Path) -> None:
    hub = FakeHub()
    lines = _lines(tmp_path, hub, FakeCommands(report=FAILED))
    assert "gates: 19 passed, 1 failed, 1 notMeasured; not passed: no-empty-reply" in lines
    assert hub.uploaded == ["report/report.json", "run.json"]


def test_pod_uploads_a_candidate_without_a_report_when_the_evaluation_is_killed(tmp_path: Path) -> None:
    hub = FakeHub()
    lines = _lines(tmp_path, hub, FakeCommands(report=None))
    assert "the gates were not applied: the evaluation ended with exit code -9" in lines
    assert hub.uploaded == ["run.json"]


def test_pod_trains_on_the_files_of_the_data_set(tmp_path: Path) -> None:
    hub, commands = FakeHub(), FakeCommands()
    _lines(tmp_path, hub, commands, {**ENVIRONMENT, "DATASET": f"snack/talks@{COMMIT}"})
    assert hub.calls[1] == "download dataset snack/talks 40"
    assert commands.calls["train"][0][-1].endswith("data/talks.jsonl")


def test_pod_gives_no_secret_to_the_training_and_only_the_judges_key_to_the_gates(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {**ENVIRONMENT, **JUDGE}.items():
        monkeypatch.setenv(name, value)
    commands = FakeCommands()
    _lines(tmp_path, FakeHub(), commands, {**ENVIRONMENT, **JUDGE})
    secrets = {"HF_TOKEN", "JUDGE_API_KEY"}
    assert secrets.isdisjoint(commands.calls["train"][1])
    assert secrets & commands.calls["evaluate"][1].keys() == {"JUDGE_API_KEY"}


def test_pod_fails_before_the_training_when_its_memory_is_too_small_for_the_merge(tmp_path: Path) -> None:
    class HubWithWeights(FakeHub):
        def download(self, repository: str, revision: str, folder: Path, kind: str) -> None:
            super().download(repository, revision, folder, kind)
            with (folder / "model.safetensors").open("wb") as file:
                file.truncate(14_500_000_000)

    lines: list[str] = []
    commands = FakeCommands()
    main(ENVIRONMENT, HubWithWeights(), commands, lines.append, tmp_path, memory=lambda: 31_000_000_000)
    assert lines[-1] == (
        "snack-training: failed: the pod has 31 GB of memory, and the merge needs 33 GB; choose another type with --gpu"
    )
    assert commands.calls == {}


@pytest.mark.parametrize(
    ("file", "limit", "expected"),
    [
        ("memory.max", "32000000000", 32_000_000_000),
        ("memory.max", "max", 64_000_000 * 1_024),
        ("memory/memory.limit_in_bytes", "32000000000", 32_000_000_000),
        ("memory/memory.limit_in_bytes", "9223372036854771712", 64_000_000 * 1_024),
    ],
)
def test_memory_of_the_pod_is_limited_by_its_container(tmp_path: Path, file: str, limit: str, expected: int) -> None:
    for name, text in (("proc/meminfo", "MemTotal:  64000000 kB\n"), (f"sys/fs/cgroup/{file}", f"{limit}\n")):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text(text)
    assert memory_bytes(tmp_path) == expected


@pytest.mark.parametrize(
    ("code", "reason"),
    [(-9, "the system killed the training, usually because the memory is full"), (1, "the training ended with exit")],
)
def test_pod_uploads_nothing_and_reports_the_reason_when_the_training_fails(
    tmp_path: Path, code: int, reason: str
) -> None:
    hub = FakeHub()
    assert _lines(tmp_path, hub, FakeCommands(code))[-1].startswith(f"snack-training: failed: {reason}")
    assert [call for call in hub.calls if call.startswith("upload")] == []


def test_pod_repeats_a_failed_upload(tmp_path: Path) -> None:
    hub = FakeHub(OSError("503 Server Error"), OSError("412 conflict of hf_CANARY_TOKEN"))
    lines = _lines(tmp_path, hub, FakeCommands())
    assert "the upload failed and is repeated: 412 conflict of ***" in lines
    assert lines[-1] == "snack-training: finished"


def test_pod_fails_without_a_tag_after_the_last_failed_upload(tmp_path: Path) -> None:
    hub = FakeHub(*[OSError(28, "No space left on device\nwith hf_CANARY_TOKEN")] * 4)
    last = _lines(tmp_path, hub, FakeCommands())[-1]
    assert last == "snack-training: failed: [Errno 28] No space left on device with ***"
    assert [call for call in hub.calls if call.startswith("upload")] == []


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"HF_TOKEN": "{{ RUNPOD_SECRET_x }}"}, "HF_TOKEN is not set: the RunPod account has no secret"),
        ({"MODEL": ""}, "MODEL is missing in the pod's environment"),
        ({**JUDGE, "JUDGE_MODEL": ""}, "JUDGE_MODEL is not set; a judge needs JUDGE_URL, JUDGE_MODEL, JUDGE_API_KEY"),
        ({**JUDGE, "JUDGE_URL": "https://u:pw@judge.test/v1"}, "the judge's URL must not contain a user"),
        ({**JUDGE, "JUDGE_URL": "https://judge.test/v1?key=x"}, "the judge's URL must not contain a user"),
        ({**JUDGE, "JUDGE_API_KEY": "{{ RUNPOD_SECRET_x }}"}, "JUDGE_API_KEY is not set"),
    ],
)
def test_pod_names_a_missing_variable(tmp_path: Path, changes: dict[str, str], reason: str) -> None:
    hub = FakeHub()
    lines = _lines(tmp_path, hub, FakeCommands(), {**ENVIRONMENT, **changes})
    assert hub.calls == []
    assert lines[-1].startswith(f"snack-training: failed: {reason}")
