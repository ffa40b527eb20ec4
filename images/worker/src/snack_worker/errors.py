"""The errors a client may see. Codes, texts and `retryable` come from the registry that every language shares."""

import json
from importlib.resources import files

_registry: dict[str, dict[str, object]] = json.loads(files(__package__).joinpath("contract/errors.json").read_bytes())


class WorkerError(Exception):
    """
    The only error whose text may reach a client.

    `code` is a code of the registry; `message` replaces the registry's text where there is more to say, and never
    carries internals. `cause` is the internal reason, for the log only.
    """

    def __init__(self, code: str, message: str | None = None, *, cause: str | None = None) -> None:
        self.code = code
        self.message = message or str(_registry[code]["message"])
        self.cause = cause
        super().__init__(self.message)

    def to_json(self) -> str:
        """The wire form `{"error": {"code", "message", "retryable"}}` as JSON text."""
        retryable = _registry[self.code]["retryable"]
        return json.dumps(
            {"error": {"code": self.code, "message": self.message, "retryable": retryable}}, ensure_ascii=False
        )
