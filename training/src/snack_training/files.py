"""Reading and hashing of files."""

import hashlib
import json
from pathlib import Path
from typing import Any

from .errors import TrainingError


def read_json(file: Path) -> Any:
    """Reads a JSON file. Raises TrainingError when the file is missing or is not JSON."""
    try:
        return json.loads(file.read_bytes())
    except OSError as error:
        raise TrainingError(f"{file} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise TrainingError(f"{file} is not JSON: {error}") from error


def write_json(file: Path, value: object) -> None:
    """Writes a value as JSON. Creates the folder when it is missing."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(value, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")


def sha256_of(file: Path) -> str:
    """Returns the SHA-256 of a file in hexadecimal."""
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
