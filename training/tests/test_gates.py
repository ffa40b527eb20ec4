import asyncio
import re
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from snack_training.candidate import read_candidate
from snack_training.errors import TrainingError
from snack_training.files import read_json, write_json
from snack_training.gates import GATES, Input, judge, keeps_the_contract, may_be_promoted, open_gates
from snack_training.measure import tokens_per_second
from snack_training.measurements import Fixtures, Pairwise, Speed, read_measurements, write_measurements
from snack_training.persona_prompts import read_persona_prompts
from snack_training.report import page, summary
from snack_training.selftest import Selftest, Served
from snack_training.selftest import summary as selftest_summary

from .conftest import IMAGES
from .test_persona_rules import PROMPTS

FIXTURES = {
    "sound": Fixtures(passed=48, failed=0, skipped=0, problems=[]),
    "fieldMissing": Fixtures(passed=47, failed=1, skipped=0, problems=["v1/native/text: usage is missing"]),
}


@pytest.fixture(scope="session")
def selftest(tokenizers: Mapping[str, Path]) -> Selftest:
    return Selftest(IMAGES, tokenizers, read_persona_prompts(PROMPTS), FIXTURES)


@pytest.fixture(scope="session")
def measured(selftest: Selftest, tmp_path_factory: pytest.TempPathFactory) -> Served:
    """A valid candidate, measured only once behind the scripted engine."""
    return asyncio.run(selftest.sound("phi3", tmp_path_factory.mktemp("sound") / "candidate"))


@pytest.fixture
def sound(measured: Served, tmp_path: Path) -> Served:
    """A copy of the valid candidate. A test may change the copy."""
    shutil.copytree(measured.folder, tmp_path / "candidate")
    return replace(measured, folder=tmp_path / "candidate")


def _judged(served: Served) -> dict[str, str]:
    results = judge(Input(read_candidate(served.folder), served.measurements, served.facts))
    return {result.gate: result.status for result in results}


def test_each_broken_candidate_fails_only_the_gate_for_its_fault(selftest: Selftest) -> None:
    result = selftest_summary(asyncio.run(selftest.run()))
    assert (result["candidates"], result["caught"], result["wrongGate"]) == (14, 14, 0)
    assert len({one["expected"] for one in result["results"]}) == 14


def test_valid_candidate_passes_every_gate_and_may_be_promoted(sound: Served) -> None:
    candidate = read_candidate(sound.folder)
    results = judge(Input(candidate, sound.measurements, sound.facts))
    assert {result.status for result in results} == {"passed"}
    assert [result.gate for result in results] == [gate.name for gate in GATES]
    assert may_be_promoted(candidate, results)


@pytest.mark.parametrize(
    ("missing", "gates"),
    [
        ({"fixtures": None}, {"contract"}),
        ({"prompts": {}}, {"prompt-ids", "bos"}),
        ({"serving_speed": None}, {"speed"}),
        ({"tasks": None}, {"regression"}),
    ],
)
def test_candidate_must_not_be_promoted_when_a_measurement_is_missing(
    sound: Served, missing: dict[str, None], gates: set[str]
) -> None:
    measured = replace(sound.measurements, **missing)  # type: ignore[arg-type]
    candidate = read_candidate(sound.folder)
    results = judge(Input(candidate, measured, sound.facts))
    assert {result.gate for result in results if result.status == "notMeasured"} == gates
    assert not may_be_promoted(candidate, results)


def test_candidate_may_be_promoted_without_a_judge_but_not_when_the_judge_prefers_the_serving_model(
    sound: Served,
) -> None:
    candidate = read_candidate(sound.folder)
    results = {
        name: judge(Input(candidate, replace(sound.measurements, pairwise=pairwise), sound.facts))
        for name, pairwise in {"no judge": None, "lost": Pairwise(wins=10, ties=0, losses=20)}.items()
    }
    assert [result.gate for result in results["no judge"] if result.status == "notMeasured"] == ["pairwise"]
    assert may_be_promoted(candidate, results["no judge"])
    assert open_gates(results["lost"]) == ["pairwise"]


def test_candidate_must_not_be_promoted_when_the_configured_judge_failed(sound: Served, tmp_path: Path) -> None:
    write_measurements(tmp_path / "m.json", replace(sound.measurements, has_judge=True, pairwise=None))
    candidate = read_candidate(sound.folder)
    results = judge(Input(candidate, read_measurements(tmp_path / "m.json"), sound.facts))
    assert open_gates(results) == ["pairwise"]
    assert not may_be_promoted(candidate, results)


@pytest.mark.parametrize(
    ("before", "now", "status"),
    [
        (Speed(60, 60), Speed(85, 60), "passed"),
        (Speed(60, 60), Speed(95, 60), "failed"),
        (Speed(600, 60), Speed(650, 60), "passed"),
        (Speed(600, 60), Speed(670, 60), "failed"),
        (Speed(60, 60), Speed(60, 53), "failed"),
    ],
)
def test_speed_gate_allows_ten_percent_or_thirty_milliseconds_until_the_first_text(
    sound: Served, before: Speed, now: Speed, status: str
) -> None:
    changed = replace(sound.measurements, speed={1: now}, serving_speed={1: before})
    assert _judged(replace(sound, measurements=changed))["speed"] == status


@pytest.mark.parametrize(("tokens", "first_ms"), [(21, 500), (201, 50)])
def test_speed_depends_neither_on_the_replys_length_nor_on_the_time_until_the_first_text(
    tokens: int, first_ms: int
) -> None:
    timings = {"ttft_ms": first_ms, "total_ms": first_ms + (tokens - 1) * 20}
    assert tokens_per_second({"usage": {"completion_tokens": tokens}, "timings": timings}) == 50


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"unequalStoredWeights": 1}, "failed"),
        ({"adapterMergedMaxDiff": 2e-3}, "failed"),
        ({"adapterMergedMaxDiff": float("nan")}, "failed"),
        ({"unequalStoredWeights": None}, "notMeasured"),
    ],
)
def test_adapter_gate_checks_logits_in_float32_and_every_stored_weight(
    sound: Served, changes: dict[str, Any], status: str
) -> None:
    run = read_json(sound.folder / "run.json")
    write_json(sound.folder / "run.json", {**run, **changes})
    assert _judged(sound)["adapter-merged"] == status


def test_files_gate_fails_when_the_training_did_not_write_a_weights_file(sound: Served) -> None:
    (sound.folder / "extra.safetensors").write_bytes((sound.folder / "model.safetensors").read_bytes())
    assert [name for name, status in _judged(sound).items() if status == "failed"] == ["files"]


def test_files_gate_accepts_the_report_of_the_pod_and_the_files_of_the_download(sound: Served) -> None:
    for name in ("report/report.json", ".cache/huggingface/x.lock", ".gitattributes"):
        (sound.folder / name).parent.mkdir(parents=True, exist_ok=True)
        (sound.folder / name).write_text("{}")
    assert _judged(sound)["files"] == "passed"


def test_persona_gates_need_all_two_hundred_replies(sound: Served) -> None:
    few = replace(sound.measurements, replies=sound.measurements.replies[:199])
    statuses = _judged(replace(sound, measurements=few))
    assert [name for name, status in statuses.items() if status == "notMeasured"] == [
        *("no-empty-reply", "language", "whole-sentences", "no-leak", "refusals", "length", "in-character")
    ]


def test_tiny_candidate_is_judged_only_by_the_contract_gates_and_never_promoted(sound: Served) -> None:
    run = read_json(sound.folder / "run.json")
    write_json(sound.folder / "run.json", {**run, "tiny": True})
    candidate = read_candidate(sound.folder)
    results = judge(Input(candidate, sound.measurements, sound.facts))
    assert {result.status for result in results if result.kind == "contract"} == {"passed"}
    assert {result.status for result in results if result.kind == "quality"} == {"notJudged"}
    assert keeps_the_contract(results)
    without_fixtures = replace(sound.measurements, fixtures=None)
    assert not keeps_the_contract(judge(Input(candidate, without_fixtures, sound.facts)))
    assert not may_be_promoted(candidate, results)


def test_prompt_gate_fails_when_the_server_reports_a_wrong_number_of_tokens(sound: Served) -> None:
    tokens = sound.measurements.prompts["greeting"]
    prompts = {**sound.measurements.prompts, "greeting": replace(tokens, counted=tokens.counted + 1)}
    changed = replace(sound, measurements=replace(sound.measurements, prompts=prompts))
    assert [name for name, status in _judged(changed).items() if status == "failed"] == ["prompt-ids"]


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json", "chat_template.jinja", "config.json"])
def test_files_gate_fails_when_a_file_is_truncated_or_missing(sound: Served, name: str) -> None:
    file = sound.folder / name
    content = file.read_bytes()
    file.write_bytes(content[:-1] + b" ")
    assert _judged(sound)["files"] == "failed"
    file.unlink()
    assert _judged(sound)["files"] == "failed"
    file.write_bytes(content)
    assert _judged(sound)["files"] == "passed"


def test_remote_code_gate_fails_when_the_folder_contains_code(sound: Served) -> None:
    (sound.folder / "modeling_phi3.py").write_text("")
    assert [name for name, status in _judged(sound).items() if status == "failed"] == ["no-remote-code"]


def test_page_needs_no_external_files_and_escapes_replies(sound: Served) -> None:
    first, *others = sound.measurements.replies
    replies = [replace(first, text="<script>alert(1)</script>"), *others]
    given = Input(read_candidate(sound.folder), replace(sound.measurements, replies=replies), sound.facts)
    results = judge(given)
    html = page(given, results)
    assert not re.search(r"(src|href)=|url\(|@import|<script", html)
    assert "&lt;script&gt;" in html
    for gate in GATES:
        assert f"<code>{gate.name}</code>" in html
    assert html.count("<svg") == 2
    assert "Must not be promoted" not in html
    assert summary(given, results)["gates"] == {"passed": 21, "failed": 0, "notMeasured": 0, "notJudged": 0}


def test_page_names_the_open_gates_and_the_reason_of_a_missing_measurement(sound: Served) -> None:
    note = "candidate: the engine exited with code 1 before it was ready"
    measured = replace(sound.measurements, fixtures=None, notes=[note])
    given = Input(read_candidate(sound.folder), measured, sound.facts)
    header = page(given, judge(given)).split("</header>")[0]
    assert "Must not be promoted" in header
    assert "Not passed: <code>contract</code>" in header
    assert note in header


def test_measurements_are_equal_after_writing_and_reading(sound: Served, tmp_path: Path) -> None:
    file = tmp_path / "measurements.json"
    write_measurements(file, sound.measurements)
    assert read_measurements(file) == sound.measurements
    write_json(file, {"engine": "vllm"})
    with pytest.raises(TrainingError, match="has no valid measurements: KeyError at 'prompts'"):
        read_measurements(file)
