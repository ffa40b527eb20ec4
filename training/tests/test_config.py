import json
from pathlib import Path
from typing import Any

import pytest

from snack_training.config import read_config
from snack_training.errors import TrainingError

from .conftest import IMAGES, MODELS


def _changed(tmp_path: Path, **changes: Any) -> Path:
    value = json.loads((IMAGES / "phi3" / "training.json").read_bytes())
    file = tmp_path / "training.json"
    file.write_text(json.dumps({name: entry for name, entry in {**value, **changes}.items() if entry is not None}))
    return file


@pytest.mark.parametrize("model", MODELS)
def test_configuration_of_each_model_is_valid_and_has_the_tested_hyper_parameters(model: str) -> None:
    config = read_config(IMAGES / model / "training.json")
    assert (config.loraRank, config.loraAlpha, config.loraDropout) == (16, 32, 0.05)
    assert (config.learningRate, config.maxTokens) == (1e-4, 2_048)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"epochs": 0}, "epochs is 0; allowed: a whole number from 1 to 20"),
        ({"epochs": 1.5}, "epochs is 1.5; allowed: a whole number from 1 to 20"),
        ({"learningRate": "fast"}, "learningRate is 'fast'; allowed: a number from 1e-07 to 0.01"),
        ({"revision": "main"}, "revision must be a commit of 40 hexadecimal digits"),
        ({"seed": None}, "seed is missing"),
        ({"lr": 1}, "lr is unknown; allowed: huggingFaceId, revision, epochs"),
    ],
)
def test_error_names_the_field_and_the_allowed_values(tmp_path: Path, changes: dict[str, Any], problem: str) -> None:
    with pytest.raises(TrainingError) as error:
        read_config(_changed(tmp_path, **changes))
    assert problem in str(error.value)
