"""Errors that clients see. Codes, texts and `retryable` come from the contract's error registry."""

import json
from importlib.resources import files

_registry: dict[str, dict[str, object]] = json.loads(files(__package__).joinpath("contract/errors.json").read_bytes())


class WorkerError(Exception):
    """
    Error of a job. Clients see the text of this exception only, never the text of another exception.

    `code` is a code of the registry. `message` replaces the registry's text with a more detailed text, which must not
    contain internals. `field` is the path of the invalid field; `message` does not repeat it. `cause` is the internal
    reason, which is only logged.
    """

    def __init__(
        self, code: str, message: str | None = None, *, field: str | None = None, cause: str | None = None
    ) -> None:
        self.code = code
        self.text = message or str(_registry[code]["message"])
        self.field = field
        self.cause = cause
        super().__init__(self.message)

    @property
    def message(self) -> str:
        """Text of the error, with the field's path in front."""
        return f"{self.field}: {self.text}" if self.field else self.text

    @property
    def status(self) -> int:
        """HTTP status of the error's code."""
        return int(str(_registry[self.code]["status"]))

    def body(self) -> dict[str, object]:
        """Returns `code`, `message` and `retryable`."""
        return {"code": self.code, "message": self.message, "retryable": bool(_registry[self.code]["retryable"])}

    def to_json(self) -> str:
        """Returns the JSON text of `{"error": {"code", "message", "retryable"}}`."""
        return json.dumps({"error": self.body()}, ensure_ascii=False)
