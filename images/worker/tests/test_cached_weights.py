from pathlib import Path

import pytest

from snack_worker.settings import SettingsError, cached_weights

MODEL_ID = "someone/some-model"
REVISION = "2fe192450127e6a83f7441aef6e3ca586c338b77"
FOLDER = "models--someone--some-model"


def _write_cache(tmp_path: Path, revision: str) -> Path:
    repository = tmp_path / FOLDER
    (repository / "snapshots" / revision).mkdir(parents=True)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(revision)
    return repository


def test_cached_weights_returns_the_folder_of_the_commit(tmp_path: Path) -> None:
    repository = _write_cache(tmp_path, REVISION)
    assert cached_weights(tmp_path, MODEL_ID, REVISION) == repository / "snapshots" / REVISION


def test_error_names_the_missing_folder_and_the_model_url_when_the_model_is_not_cached(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        cached_weights(tmp_path, MODEL_ID, REVISION)
    assert str(tmp_path / FOLDER) in str(caught.value)
    assert f"https://huggingface.co/{MODEL_ID}:{REVISION}" in str(caught.value)


def test_error_names_the_cached_commit_when_another_commit_is_expected(tmp_path: Path) -> None:
    _write_cache(tmp_path, "abc123")
    with pytest.raises(SettingsError, match=r"snapshots/2fe19\w+ \(found: abc123\)"):
        cached_weights(tmp_path, MODEL_ID, REVISION)
