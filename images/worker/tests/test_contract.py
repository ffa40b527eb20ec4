"""
Tests the error codes of every shipped contract version. The worker's replies are tested against the contract's fixtures
in `tests/contract/compatibility.test.ts`, because the compatibility rules exist only in TypeScript
(`contract/compatibility.ts`).
"""

import json
from pathlib import Path

import pytest

from snack_worker.errors import WorkerError

FIXTURES = Path(__file__).parents[3] / "contract" / "fixtures"


@pytest.mark.parametrize("version", sorted(folder.name for folder in FIXTURES.iterdir()))
def test_error_codes_of_shipped_versions_keep_their_status_and_retryable_value(version: str) -> None:
    shipped = json.loads((FIXTURES / version / "errors.json").read_bytes())
    for code, expected in shipped.items():
        error = WorkerError(code)
        assert (code, error.status, error.body()["retryable"]) == (code, expected["status"], expected["retryable"])
