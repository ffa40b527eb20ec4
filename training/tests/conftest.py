import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from snack_training.facts import template_file
from snack_training.prompts import Prompts

ROOT = Path(__file__).parents[1]
IMAGES = ROOT.parent / "images"
MODELS = ("phi3", "mistral")

_WRITE = "import sys; from tests.real_tokenizers import tokenizer; tokenizer(sys.argv[1]).save(sys.argv[2])"


@pytest.fixture(scope="session")
def tokenizers(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    """The real tokenizer file of each model, from the packages of the worker's tests."""
    folder = tmp_path_factory.mktemp("tokenizers")
    worker = IMAGES / "worker"
    for model in MODELS:
        file = folder / f"{model}.json"
        env = {"PYTHONPATH": str(worker / "src")}
        subprocess.run([sys.executable, "-c", _WRITE, model, str(file)], cwd=worker, env=env, check=True)
    return {model: folder / f"{model}.json" for model in MODELS}


@pytest.fixture(scope="session")
def prompts(tokenizers: Mapping[str, Path]) -> Mapping[str, Prompts]:
    """The prompts of each model, with its real tokenizer and template."""
    return {model: Prompts(template_file(IMAGES, model), file) for model, file in tokenizers.items()}
