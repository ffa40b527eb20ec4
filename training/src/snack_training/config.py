"""Training configuration of a model: `images/<model>/training.json`."""

import re
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from .errors import TrainingError
from .files import read_json

# Allowed range of each number, both ends included.
_RANGES: dict[str, tuple[float, float]] = {
    "epochs": (1, 20),
    "learningRate": (1e-7, 1e-2),
    "batchSize": (1, 256),
    "maxTokens": (256, 4_096),
    "loraRank": (1, 256),
    "loraAlpha": (1, 512),
    "loraDropout": (0, 0.5),
    "heldOutPercent": (1, 50),
    "seed": (0, 2**31),
}
_WHOLE = {"epochs", "batchSize", "maxTokens", "loraRank", "loraAlpha", "heldOutPercent", "seed"}


@dataclass(frozen=True)
class TrainingConfig:
    """Hyper-parameters of one model. The field names are those of the JSON file."""

    huggingFaceId: str  # noqa: N815
    """
    Repository of the base model at Hugging Face. It stays the same even when `model.json` names a retrained model.
    """
    revision: str
    """Commit of the base model."""
    epochs: int
    learningRate: float  # noqa: N815
    batchSize: int  # noqa: N815
    """Conversations per optimizer step."""
    maxTokens: int  # noqa: N815
    """Maximum tokens of a training conversation, with the persona."""
    loraRank: int  # noqa: N815
    loraAlpha: int  # noqa: N815
    loraDropout: float  # noqa: N815
    heldOutPercent: int  # noqa: N815
    """Share of the conversations that only measure the loss and are not trained."""
    seed: int


def read_config(file: Path) -> TrainingConfig:
    """Reads a configuration. Raises TrainingError that names the file, the field and the allowed values."""
    value = read_json(file)
    names = [field.name for field in fields(TrainingConfig)]
    if not isinstance(value, dict):
        raise TrainingError(f"{file} must be an object")
    given = {name: entry for name, entry in value.items() if name != "notes"}
    if unknown := sorted(given.keys() - set(names)):
        raise TrainingError(f"{file}: {unknown[0]} is unknown; allowed: {', '.join(names)}, notes")
    if missing := [name for name in names if name not in given]:
        raise TrainingError(f"{file}: {missing[0]} is missing")
    _check_text(file, given, "huggingFaceId", r"[\w.-]+/[\w.-]+", "<owner>/<repository>")
    _check_text(file, given, "revision", r"[0-9a-f]{40}", "a commit of 40 hexadecimal digits")
    for name, (least, most) in _RANGES.items():
        _check_number(file, name, given[name], least, most)
    return TrainingConfig(**given)


def _check_text(file: Path, given: dict[str, Any], name: str, pattern: str, allowed: str) -> None:
    if not isinstance(given[name], str) or not re.fullmatch(pattern, given[name]):
        raise TrainingError(f"{file}: {name} must be {allowed}")


def _check_number(file: Path, name: str, number: object, least: float, most: float) -> None:
    kind = "a whole number" if name in _WHOLE else "a number"
    is_number = isinstance(number, (int,) if name in _WHOLE else (int, float)) and not isinstance(number, bool)
    if not is_number or not least <= number <= most:  # type: ignore[operator]
        raise TrainingError(f"{file}: {name} is {number!r}; allowed: {kind} from {least:g} to {most:g}")
