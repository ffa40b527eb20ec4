"""A candidate is the folder of a retrained model. This module reads the folder without torch."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .errors import TrainingError
from .files import read_json, sha256_of

TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "tokenizer.model",
    "special_tokens_map.json",
    "added_tokens.json",
)
REQUIRED_FILES = (
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "chat_template.jinja",
    "run.json",
)
REPORT_FOLDER = "report"
"""Folder of the report in a candidate that a pod has uploaded."""
# Pickle files can run code when they are loaded.
PICKLES = (".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt")
CODE = (".py", ".pyc", ".so", ".dll", ".dylib", ".sh")
_MAX_HEADER_BYTES = 100_000_000


@dataclass(frozen=True)
class Candidate:
    """The facts of a candidate that the gates need."""

    files: list[str]
    damaged: list[str]
    """Problem of each file that is missing, truncated, or different from the file of the training."""
    config: Mapping[str, Any]
    tokenizer_config: Mapping[str, Any]
    generation: Mapping[str, Any]
    run: Mapping[str, Any]
    tokenizer_sha256: str | None
    """SHA-256 of the tokenizer file. None when the file is missing."""
    embedding_rows: int | None
    """Number of tokens in the weights. None when no file contains the embeddings."""


def read_candidate(folder: Path) -> Candidate:
    """Reads a candidate. Raises TrainingError when `folder` is not a folder."""
    if not folder.is_dir():
        raise TrainingError(f"{folder} is not a folder: give the folder of a candidate")
    files = sorted(str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file())
    tensors: dict[str, list[int]] = {}
    damaged = [f"{name} is missing" for name in REQUIRED_FILES if name not in files]
    weights = [name for name in files if name.endswith(".safetensors")]
    if not weights:
        damaged.append("the weights (*.safetensors) are missing")
    for name in weights:
        try:
            tensors |= read_shapes(folder / name)
        except (OSError, ValueError) as error:
            damaged.append(f"{name}: {error}")
    run = _optional(folder / "run.json")
    damaged += _missing_shards(folder, files) + _changed(folder, files, run)
    tokenizer = folder / "tokenizer.json"
    rows = tensors.get("model.embed_tokens.weight")
    return Candidate(
        files=files,
        damaged=damaged,
        config=_optional(folder / "config.json"),
        tokenizer_config=_optional(folder / "tokenizer_config.json"),
        generation=_optional(folder / "generation_config.json"),
        run=run,
        tokenizer_sha256=sha256_of(tokenizer) if tokenizer.is_file() else None,
        embedding_rows=rows[0] if rows else None,
    )


def generation_end_tokens(config: Mapping[str, Any]) -> list[int]:
    """Returns the end tokens of a generation configuration, which may be one number or a list."""
    ends = config.get("eos_token_id")
    tokens = ends if isinstance(ends, list) else [ends]
    return [token for token in tokens if isinstance(token, int)]


def read_shapes(file: Path) -> dict[str, list[int]]:
    """Returns the shapes of a safetensors file. Raises ValueError when the file is truncated or has another format."""
    with file.open("rb") as content:
        size = int.from_bytes(content.read(8), "little")
        if size > _MAX_HEADER_BYTES:
            raise ValueError("is not a safetensors file")
        header: dict[str, Any] = json.loads(content.read(size))
    header.pop("__metadata__", None)
    end = max((tensor["data_offsets"][1] for tensor in header.values()), default=0)
    if file.stat().st_size != 8 + size + end:
        raise ValueError(f"has {file.stat().st_size} bytes, its header says {8 + size + end}")
    return {name: tensor["shape"] for name, tensor in header.items()}


def _missing_shards(folder: Path, files: list[str]) -> list[str]:
    named = set(_optional(folder / "model.safetensors.index.json").get("weight_map", {}).values())
    return [f"{name} is missing" for name in sorted(named - set(files))]


def _changed(folder: Path, files: list[str], run: Mapping[str, Any]) -> list[str]:
    """Compares the files with the hashes that the export wrote into `run.json`."""
    hashes: Mapping[str, str] = run.get("files", {})
    changed = [
        f"{name} is not the file that the training wrote"
        for name, expected in hashes.items()
        if name in files and sha256_of(folder / name) != expected
    ]
    removed = [f"{name} is missing" for name in hashes if name not in files and name not in REQUIRED_FILES]
    return changed + removed + [f"{name} is not in run.json" for name in files if not _is_known(name, hashes)]


def _is_known(name: str, hashes: Mapping[str, str]) -> bool:
    """
    Whether the gate `files` accepts a file with this name. It accepts the files of the export, of the gates and of
    Hugging Face's client, and files that another gate reports.
    """
    if name in hashes or name == "run.json" or name.endswith((*CODE, *PICKLES)):
        return True
    return name.startswith((f"{REPORT_FOLDER}/", "adapter_", ".cache/", ".gitattributes"))


def _optional(file: Path) -> dict[str, Any]:
    """
    Reads a JSON object. Returns an empty object for a missing or invalid file. `Candidate.damaged` has the reason.
    """
    try:
        value = read_json(file)
    except TrainingError:
        return {}
    return value if isinstance(value, dict) else {}
