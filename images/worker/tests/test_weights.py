from pathlib import Path

import pytest

from snack_worker.weights import WeightsError, cached_weights

ID = "microsoft/Phi-3.5-mini-instruct"
REVISION = "2fe192450127e6a83f7441aef6e3ca586c338b77"


def _cache(tmp_path: Path, revision: str) -> Path:
    repository = tmp_path / "models--microsoft--Phi-3.5-mini-instruct"
    (repository / "snapshots" / revision).mkdir(parents=True)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(revision)
    return repository


def test_finds_the_images_commit_in_the_cache(tmp_path: Path) -> None:
    repository = _cache(tmp_path, REVISION)
    assert cached_weights(tmp_path, ID, REVISION) == repository / "snapshots" / REVISION


def test_names_the_folder_and_the_reference_when_the_model_is_not_cached(tmp_path: Path) -> None:
    with pytest.raises(WeightsError) as caught:
        cached_weights(tmp_path, ID, REVISION)
    assert str(tmp_path / "models--microsoft--Phi-3.5-mini-instruct") in str(caught.value)
    assert f"https://huggingface.co/{ID}:{REVISION}" in str(caught.value)


def test_refuses_another_commit_than_the_images_and_names_it(tmp_path: Path) -> None:
    _cache(tmp_path, "abc123")
    with pytest.raises(WeightsError, match=r"snapshots/2fe19\w+ \(it holds abc123\)"):
        cached_weights(tmp_path, ID, REVISION)
